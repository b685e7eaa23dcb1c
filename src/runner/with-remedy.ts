import { Failure } from '../api/failure.ts';
import { remedyFor, remedyVariants, type RemedyFor } from '../api/remedies.ts';

/** The failure with the remedy for this kind as its hint, unless it has a better one, or there is none for the kind. */
export function withRemedy(failure: Failure, kind: RemedyFor | undefined): Failure {
  const hasOwn = remedyVariants(failure.reason).some(([own]) => own === kind);
  if (failure.hint !== undefined || !hasOwn) return failure;
  return new Failure(failure.reason, failure.message, { hint: remedyFor(failure.reason, kind), cause: failure.cause });
}
