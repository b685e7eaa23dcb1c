import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';

/** What matters of an error of the SDK, of Node's network, or of an answer that is no S3. */
interface S3Problem {
  /** S3's own code (`NoSuchBucket`), or the error's name. */
  readonly code: string;
  /** Node's code (`ECONNREFUSED`), '' if none. */
  readonly systemCode: string;
  /** HTTP status, 0 if there was no answer. */
  readonly status: number;
  readonly message: string;
  readonly requestId: string;
}

const byCode: Readonly<Record<string, FailureReason>> = {
  NoSuchBucket: 'StorageMissing',
  NoSuchKey: 'ObjectMissing',
  NotFound: 'ObjectMissing',
  NoSuchVersion: 'ObjectMissing',
  NoSuchUpload: 'StorageFailed',
  AccessDenied: 'StorageDenied',
  AllAccessDisabled: 'StorageDenied',
  AccountProblem: 'StorageDenied',
  MethodNotAllowed: 'StorageDenied',
  InvalidAccessKeyId: 'StorageCredentialsInvalid',
  SignatureDoesNotMatch: 'StorageCredentialsInvalid',
  ExpiredToken: 'StorageCredentialsInvalid',
  ExpiredTokenException: 'StorageCredentialsInvalid',
  InvalidToken: 'StorageCredentialsInvalid',
  TokenRefreshRequired: 'StorageCredentialsInvalid',
  InvalidSecurity: 'StorageCredentialsInvalid',
  NotSignedUp: 'StorageCredentialsInvalid',
  UnauthorizedAccess: 'StorageCredentialsInvalid',
  XAdminUserNotFound: 'StorageCredentialsInvalid',
  XAdminNoSuchUser: 'StorageCredentialsInvalid',
  CredentialsProviderError: 'StorageCredentialsInvalid',
  TokenProviderError: 'StorageCredentialsInvalid',
  RequestTimeTooSkewed: 'StorageConfigInvalid',
  PermanentRedirect: 'StorageConfigInvalid',
  AuthorizationHeaderMalformed: 'StorageConfigInvalid',
  IllegalLocationConstraintException: 'StorageConfigInvalid',
  InvalidStorageClass: 'StorageConfigInvalid',
  InvalidBucketName: 'StorageConfigInvalid',
  InvalidArgument: 'StorageConfigInvalid',
  InvalidRequest: 'StorageConfigInvalid',
  InvalidObjectState: 'StorageConfigInvalid',
  KMSNotFoundException: 'StorageConfigInvalid',
  'KMS.NotFoundException': 'StorageConfigInvalid',
  'KMS.DisabledException': 'StorageConfigInvalid',
  NotImplemented: 'StorageConfigInvalid',
  EntityTooLarge: 'StorageConfigInvalid',
  BadDigest: 'StoredBytesDiffer',
  InvalidDigest: 'StoredBytesDiffer',
  XAmzContentSHA256Mismatch: 'StoredBytesDiffer',
  XAmzContentChecksumMismatch: 'StoredBytesDiffer',
  PreconditionFailed: 'AlreadyStored',
  QuotaExceeded: 'StorageFull',
  InsufficientCapacity: 'StorageFull',
  XMinioStorageFull: 'StorageFull',
  XMinioAdminBucketQuotaExceeded: 'StorageFull',
  RequestTimeout: 'StorageUnreachable',
  TimeoutError: 'StorageUnreachable',
};

const unreachable = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

const tlsCode =
  /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|ERROR_IN_CERT_|EPROTO|INVALID_CA|CRL_)/;

const hints: Readonly<Record<string, string>> = {
  RequestTimeTooSkewed: 'set the clock of the machine or of the store: they differ by more than 15 minutes',
  PermanentRedirect: 'the bucket is in another region: correct region, or endpoint',
  AuthorizationHeaderMalformed: 'correct region',
  InvalidObjectState: 'the object is in an archive class: restore it there first',
};

/** Any error of a request to S3 as a Failure. Nothing of the request (headers, signed URLs) is passed on. */
export function toS3Failure(error: unknown, what: string): Failure {
  if (error instanceof Failure) return error;
  const problem = readS3Problem(error);
  const hint = hints[problem.code];
  return new Failure(chooseReason(problem), `${what}: ${describe(problem)}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: new S3Answer(problem),
  });
}

/** The code that a failure came from, '' if it did not come from an answer of S3. */
export function s3CodeOf(failure: unknown): string {
  return failure instanceof Failure && failure.cause instanceof S3Answer ? failure.cause.problem.code : '';
}

/** The HTTP status that a failure came from, 0 if there was no answer. */
export function s3StatusOf(failure: unknown): number {
  return failure instanceof Failure && failure.cause instanceof S3Answer ? failure.cause.problem.status : 0;
}

/** Stands for the SDK's error, whose members would carry parts of the signature into logs. */
class S3Answer extends Error {
  readonly problem: S3Problem;

  constructor(problem: S3Problem) {
    super(describe(problem));
    this.name = 'S3Answer';
    this.problem = problem;
  }
}

function chooseReason({ code, systemCode, status, message }: S3Problem): FailureReason {
  if (tlsCode.test(systemCode) || /certificate/i.test(message)) return 'TlsFailed';
  const known = byCode[code];
  if (known !== undefined) return known;
  if (unreachable.has(systemCode) || message.includes('socket hang up')) return 'StorageUnreachable';
  if (status === 507) return 'StorageFull';
  if (status === 501 || status === 301 || status === 307) return 'StorageConfigInvalid';
  if (status === 403 || status === 405) return 'StorageDenied';
  if (status === 401) return 'StorageCredentialsInvalid';
  if (status === 404) return 'StorageConfigInvalid';
  if (status >= 200 && status < 300) return 'StorageConfigInvalid';
  if (systemCode.startsWith('HPE_')) return 'StorageConfigInvalid';
  return 'StorageFailed';
}

function readS3Problem(error: unknown): S3Problem {
  const shape = asRecord(error);
  const metadata = asRecord(shape['$metadata']);
  const message = error instanceof Error ? error.message : String(error);
  const inner = asRecord(shape['cause']);
  return {
    code: text(shape['Code']) || text(shape['name']),
    systemCode: text(shape['code']) || text(inner['code']),
    status: typeof metadata['httpStatusCode'] === 'number' ? metadata['httpStatusCode'] : 0,
    message,
    requestId: text(metadata['requestId']),
  };
}

function describe({ code, status, message, requestId }: S3Problem): string {
  const short = message
    .replaceAll(/https?:\/\/\S+/g, '(url)')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300);
  const about = [status > 0 ? `HTTP ${status}` : '', requestId === '' ? '' : `request ${requestId}`].filter(Boolean);
  const said = code === '' || code === 'Error' || short.startsWith(code) ? short : `${code}: ${short}`;
  return about.length === 0 ? said : `${said} (${about.join(', ')})`;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
