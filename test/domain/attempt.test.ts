import { expect, test } from 'vitest';
import { attemptOf, isAttemptOf } from '../../src/domain/attempt.ts';

const pods = ['1b4e28ba-2fa1-11d2-883f-0016d3cca427', 'AB4E28BA-0000-4000-8000-000000000000\n'];

test('tries of a Backup are 8 hexadecimal digits, differ from each other and are known as its own', () => {
  const tries = pods.map((pod) => attemptOf(pod, 'uid-of-one') ?? '');
  expect(new Set(tries).size).toBe(2);
  for (const one of tries) {
    expect(one).toMatch(/^[0-9a-f]{8}$/);
    expect(isAttemptOf(one, 'uid-of-one')).toBe(true);
    expect(isAttemptOf(one, 'uid-of-another')).toBe(false);
  }
});

test('tries of other tasks are the first digits of the pod', () => {
  expect(pods.map((pod) => attemptOf(pod))).toEqual(['1b4e28ba', 'ab4e28ba']);
});

test('what is no uid is no try', () => {
  for (const text of ['', 'not-a-uid-at-all', '1b4e']) expect(attemptOf(text, 'uid')).toBeUndefined();
});
