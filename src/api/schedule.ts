import { z } from 'zod';
import { seconds } from './parts.ts';

/** Members of everything that runs by a schedule; named as in CronJob. */
export const cronSchedule = () =>
  z
    .string()
    .min(1)
    .max(128)
    .regex(/^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[!-~]+([ \t]+[!-~]+){4})$/);

export const scheduleShape = {
  timeZone: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z0-9_+\-/]+$/)
    .default('Etc/UTC')
    .meta({ description: 'Name from the IANA time zone database.' }),
  jitterSeconds: seconds(0, 6 * 3600)
    .default(0)
    .meta({ description: 'Starts are spread by up to this time; the same slot always by the same.' }),
  startingDeadlineSeconds: seconds(10, 7 * 86_400)
    .optional()
    .meta({
      description: 'A slot that could not start in this time is missed. Without it the latest slot always catches up.',
    }),
};
