import { Failure } from '../api/failure.ts';

/** How objects are to be kept, or are kept by the server's word. */
export interface Asked {
  readonly storageClass?: string | undefined;
  readonly algorithm?: string | undefined;
  readonly kmsKeyId?: string | undefined;
}

/** Servers that do not know an option take the object all the same and say nothing. @throws Failure StorageConfigInvalid */
export function compareAsked(asked: Asked, told: Asked, held: Asked, what: string): void {
  const algorithm = held.algorithm ?? told.algorithm;
  if (asked.algorithm !== undefined && algorithm !== asked.algorithm)
    throw notKept(what, `encryption with ${asked.algorithm}`, algorithm, 'serverSideEncryption');
  const key = held.kmsKeyId ?? told.kmsKeyId;
  if (asked.kmsKeyId !== undefined && !isSameKey(asked.kmsKeyId, key))
    throw notKept(what, `the KMS key ${asked.kmsKeyId}`, key, 'serverSideEncryption.kmsKeyId');
  // The answer to a put says nothing of the class, and nobody says STANDARD.
  const storageClass = held.storageClass ?? 'STANDARD';
  if (asked.storageClass !== undefined && storageClass !== asked.storageClass)
    throw notKept(what, `storage class ${asked.storageClass}`, storageClass, 'storageClass');
}

/** Asked for by id, alias or ARN; told as ARN or as it was asked for. What is behind an alias only the store knows. */
function isSameKey(asked: string, told: string | undefined): boolean {
  if (told === undefined) return false;
  if (told === asked || /(^|:)alias\//.test(asked)) return true;
  return told.endsWith(`/${asked}`) || asked.endsWith(`/${told}`);
}

function notKept(what: string, asked: string, told: string | undefined, field: string): Failure {
  return new Failure('StorageConfigInvalid', `${what}: ${asked} was asked for, the store tells ${told ?? 'none'}`, {
    hint: `the store does not do it: take s3.${field} out, or make the store do it`,
  });
}
