import { z } from 'zod';
import {
  bytes,
  conditions,
  count,
  failedTries,
  failureReason,
  postgresName,
  progressShape,
  rebuilt,
  seconds,
  shortText,
  sizeText,
  timestamp,
} from './parts.ts';
import { maxRestoredDatabases, restoredSource, restoreRules, restoreShape } from './restore-spec.ts';
import { transitionRule, withRules } from './rules.ts';

export const restoreRequestSpec = withRules(
  z.strictObject({
    ...restoreShape,
    unlessRestored: restoredSource()
      .optional()
      .meta({ description: 'Do nothing when the source is found to be still this one. Set by RestorePolicies.' }),
    ttlSecondsAfterFinished: seconds(0, 365 * 86_400)
      .optional()
      .meta({
        description:
          'The request is deleted so long after its end. Without it, it stays; so do those that Argo CD or Flux applied, which would make it again.',
      }),
  }),
  ...restoreRules,
  transitionRule(
    'self == oldSelf',
    (now, old) => JSON.stringify(now) === JSON.stringify(old),
    'the spec of a RestoreRequest is immutable',
  ),
);

/** Of each database, in status. */
export const mostRefusedTold = 20;

/** What became of one target database. */
export const restoredOutcomes = ['Restored', 'Untouched', 'Changed'] as const;

export const restoreRequestStatus = z.strictObject({
  conditions: conditions().optional(),
  observedGeneration: count().optional(),
  phase: z
    .enum(['Pending', 'Queued', 'Running', 'CleaningUp', 'Succeeded', 'RestoredInPart', 'Failed'])
    .optional()
    .meta({ description: 'For people; computed from Succeeded.' }),
  job: z.string().max(63).optional().meta({ description: 'The Job that does it.' }),
  cleanupJob: z
    .string()
    .max(63)
    .optional()
    .meta({ description: 'The Job that cleared up after a runner that died without a word.' }),
  failure: z
    .strictObject({ reason: failureReason(), message: shortText(), at: timestamp() })
    .optional()
    .meta({ description: 'What ended a run that left no word, while it is found out what became of the target.' }),
  rebuilt: rebuilt().optional(),
  failedTries: failedTries().optional(),
  startedAt: timestamp().optional(),
  completedAt: timestamp().optional(),
  source: restoredSource().optional().meta({ description: 'What was chosen.' }),
  readBytes: bytes().optional().meta({ description: 'Bytes that were fetched.' }),
  plainBytes: bytes().optional().meta({ description: 'Bytes that were loaded.' }),
  plainSize: sizeText().optional().meta({ description: 'plainBytes for people.' }),
  progress: z
    .strictObject({
      step: z.enum(['Fetching', 'Loading', 'Analyzing', 'Checking', 'Swapping']).optional(),
      ...progressShape,
    })
    .optional()
    .meta({ description: 'While it runs; seen in the pod’s log.' }),
  databases: z
    .array(
      z.strictObject({
        source: postgresName().optional(),
        target: postgresName(),
        outcome: z.enum(restoredOutcomes).meta({
          description:
            'Untouched: as it was. Changed: an InPlace restore whose script ended the transaction, or whose end is not known.',
        }),
        reason: failureReason().optional(),
        message: shortText().optional(),
        previous: postgresName().optional().meta({ description: 'Name under which the replaced database was kept.' }),
        notes: z.array(shortText()).max(16).optional().meta({
          description: 'What was left out or done otherwise, such as settings that this server does not know.',
        }),
        refused: z
          .strictObject({
            count: count().meta({ format: 'int64', description: 'How many.' }),
            entries: z
              .array(
                z.strictObject({
                  entry: z
                    .string()
                    .max(256)
                    .meta({ description: 'Such as `VIEW public.v`; of a script without names its line.' }),
                  reason: failureReason(),
                  message: shortText(),
                }),
              )
              .max(mostRefusedTold)
              .meta({ description: 'The first of them; the log of the runner has all.' }),
          })
          .optional()
          .meta({
            description: 'With onError Continue: what the server refused, and what was left out because of it.',
          }),
      }),
    )
    .max(maxRestoredDatabases)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['target'] }),
  rolesCreated: z
    .array(postgresName())
    .max(500)
    .optional()
    .meta({ description: 'Roles that globals created. A restore that leaves its target as it was drops them again.' }),
});

export type RestoreRequestSpec = z.infer<typeof restoreRequestSpec>;
export type RestoreRequestStatus = z.infer<typeof restoreRequestStatus>;
export type RestorePhase = NonNullable<RestoreRequestStatus['phase']>;
