import type { Failure } from '../api/failure.ts';

const weights = { retry: 0, wait: 1, never: 2 } as const;

/** The failure that decides how a run ends: a bug before all, then what no retry can heal; of equals the first. */
export function gravestFailure(failures: readonly [Failure, ...Failure[]]): Failure {
  return failures.reduce((gravest, failure) => (weigh(failure) > weigh(gravest) ? failure : gravest));
}

function weigh(failure: Failure): number {
  return failure.reason === 'Internal' ? 3 : weights[failure.consequence];
}
