import { Failure } from '../api/failure.ts';
import type { Patience } from './attempt.ts';
import type { Asked } from './s3-asked.ts';
import type { S3Calls } from './s3-calls.ts';
import { s3CodeOf, s3StatusOf } from './s3-errors.ts';
import type { Pace } from './s3-pace.ts';

/** What goes along with bytes so that the server can check them, best first. */
export const checkKinds = ['crc32', 'md5', 'none'] as const;
export type CheckKind = (typeof checkKinds)[number];

/** What this server has been found to offer: one decision for all uploads of a storage, taken when something worked without it. */
export interface Offers {
  checks: CheckKind;
  conditions: boolean;
  /** Checksums of the parts in the request that completes an upload. */
  partSums: boolean;
  /** Telling the checksum of an object that is looked at. */
  headSums: boolean;
}

export interface UploadSettings {
  readonly pace: Pace;
  readonly patience: Patience;
  readonly offers: Offers;
  readonly asked: Asked;
}

/** One way to make a request. */
export interface Way {
  readonly checks: CheckKind;
  readonly ifAbsent: boolean;
}

/** The ways from the best that is offered, down to the plain request. */
export function listWays(checks: readonly CheckKind[], ifAbsent: boolean): readonly Way[] {
  return checks.flatMap((kind) =>
    (ifAbsent ? [true, false] : [false]).map((condition) => ({ checks: kind, ifAbsent: condition })),
  );
}

/** This kind and all that are weaker. */
export function weakerChecks(from: CheckKind): readonly CheckKind[] {
  return checkKinds.slice(checkKinds.indexOf(from));
}

/**
 * Servers and proxies that do not know an option of a request refuse it in many words; so the status counts, or the code where an answer
 * of 200 turned into a refusal. One that is known for something else (credentials, no room, bytes that differ) is none of an option.
 */
export function isRefusedOption(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  const status = s3StatusOf(error);
  if (status === 405) return error.reason === 'StorageDenied';
  if (error.reason !== 'StorageConfigInvalid') return false;
  return [400, 412, 417, 501].includes(status) || (status === 200 && optionCodes.has(s3CodeOf(error)));
}

const optionCodes: ReadonlySet<string> = new Set([
  'InvalidArgument',
  'InvalidRequest',
  'MalformedXML',
  'NotImplemented',
  'PreconditionFailed',
]);

/** Goes down the ways until one is not refused. @throws the first refusal when all are */
export async function tryWays<T>(
  ways: readonly Way[],
  send: (way: Way) => Promise<T>,
): Promise<{ readonly told: T; readonly way: Way }> {
  let refusal: unknown;
  for (const way of ways) {
    try {
      return { told: await send(way), way };
    } catch (error) {
      if (!isRefusedOption(error)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

/**
 * What a refused condition means: another object when there is one, else that the server cannot do it (the failure then says no more
 * than that the option was refused).
 */
export async function explainCondition(
  calls: S3Calls,
  key: string,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (s3StatusOf(error) !== 412 && s3CodeOf(error) !== 'PreconditionFailed') return error;
  if ((await calls.head(key, false, signal)) === undefined) return error;
  return new Failure('AlreadyStored', `${key} exists already in ${calls.name}`, { cause: error });
}
