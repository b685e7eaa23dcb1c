import { expect, it } from 'vitest';
import { toFailure } from '../../src/api/failure.ts';
import { parseSchedule } from '../../src/domain/schedule.ts';

const adviceFor = (schedule: string): string | undefined => {
  try {
    parseSchedule(schedule, 'Etc/UTC');
    return undefined;
  } catch (error) {
    return toFailure(error).hint;
  }
};

it.each([
  ['0 0 3 * * *', 'leave out the field of seconds'],
  ['@every 15m', 'write */15 * * * *'],
  ['@reboot', '@daily'],
  ['3am', 'such as 0 3 * * *'],
])('the schedule %s is refused with what to write instead', (schedule, advice) => {
  expect(adviceFor(schedule)).toContain(advice);
});
