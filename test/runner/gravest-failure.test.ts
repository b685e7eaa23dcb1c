import { expect, test } from 'vitest';
import { Failure } from '../../src/api/failure.ts';
import { gravestFailure } from '../../src/runner/gravest-failure.ts';

const transient = new Failure('ConnectionLost', 'a');
const transientToo = new Failure('LockTimeout', 'b');
const waits = new Failure('PermissionDenied', 'c');
const never = new Failure('AlreadyStored', 'd');
const bug = new Failure('Internal', 'e');

test('a bug is graver than what never heals, that than what waits for a change, that than what is transient', () => {
  expect(gravestFailure([transient, waits, never, bug])).toBe(bug);
  expect(gravestFailure([never, transient, waits])).toBe(never);
  expect(gravestFailure([transient, waits])).toBe(waits);
});

test('of equally grave failures the first one counts', () => {
  expect(gravestFailure([transient, transientToo])).toBe(transient);
});
