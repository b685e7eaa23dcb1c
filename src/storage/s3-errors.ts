import { Failure } from '../api/failure.ts';
import type { FailureReason } from '../api/reasons.ts';
import { Throttled } from './attempt.ts';
import { type S3Problem, S3Refusal } from './s3-answer.ts';
import { chooseHint, type HintFacts } from './s3-hints.ts';
import { saysFull } from './says-full.ts';

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
  InvalidObjectState: 'StorageConfigInvalid',
  BadDigest: 'StoredBytesDiffer',
  InvalidDigest: 'StoredBytesDiffer',
  XAmzContentSHA256Mismatch: 'StoredBytesDiffer',
  XAmzContentChecksumMismatch: 'StoredBytesDiffer',
  QuotaExceeded: 'StorageFull',
  InsufficientCapacity: 'StorageFull',
  XMinioStorageFull: 'StorageFull',
  XMinioAdminBucketQuotaExceeded: 'StorageFull',
  RequestTimeout: 'StorageUnreachable',
  TimeoutError: 'StorageUnreachable',
  IncompleteBody: 'StorageUnreachable',
  InvalidArgument: 'StorageConfigInvalid',
  InvalidRequest: 'StorageConfigInvalid',
  MalformedXML: 'StorageConfigInvalid',
  NotImplemented: 'StorageConfigInvalid',
  PreconditionFailed: 'StorageConfigInvalid',
  OperationAborted: 'StorageFailed',
  ConditionalRequestConflict: 'StorageFailed',
  InternalError: 'StorageFailed',
  RequestLimitExceeded: 'StorageThrottled',
  SlowDown: 'StorageThrottled',
  SlowDownRead: 'StorageThrottled',
  SlowDownWrite: 'StorageThrottled',
  Throttling: 'StorageThrottled',
  ThrottlingException: 'StorageThrottled',
  TooManyRequests: 'StorageThrottled',
  TooManyRequestsException: 'StorageThrottled',
};

const byStatus: Readonly<Record<number, FailureReason>> = {
  401: 'StorageCredentialsInvalid',
  403: 'StorageDenied',
  405: 'StorageDenied',
  408: 'StorageUnreachable',
  409: 'StorageFailed',
  425: 'StorageFailed',
  429: 'StorageThrottled',
  501: 'StorageConfigInvalid',
  503: 'StorageThrottled',
  505: 'StorageConfigInvalid',
  507: 'StorageFull',
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
  'ERR_PROXY_TUNNEL',
]);

const tlsCode =
  /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|ERROR_IN_CERT_|EPROTO|INVALID_CA|CRL_)/;

/** Any error of a request to S3 as a Failure. Nothing of the request (headers, signed URLs) is passed on. */
export function toS3Failure(error: unknown, what: string, facts: HintFacts = {}): Failure {
  if (error instanceof Failure) return error;
  const problem = readS3Problem(error);
  const reason = chooseReason(problem);
  const hint = chooseHint(reason, problem, facts);
  const message = `${what}: ${describe(problem)}`;
  const options = { ...(hint === undefined ? {} : { hint }), cause: new S3Answer(problem) };
  if (reason === 'StorageThrottled') return new Throttled(message, problem.retryAfterMs, options);
  return new Failure(reason, message, options);
}

/** What a failure came from, undefined if it did not come from a request to S3. */
export function s3ProblemOf(failure: unknown): S3Problem | undefined {
  return failure instanceof Failure && failure.cause instanceof S3Answer ? failure.cause.problem : undefined;
}

/** The code that a failure came from, '' if it did not come from an answer of S3. */
export function s3CodeOf(failure: unknown): string {
  return s3ProblemOf(failure)?.code ?? '';
}

/** The HTTP status that a failure came from, 0 if there was no answer. */
export function s3StatusOf(failure: unknown): number {
  return s3ProblemOf(failure)?.status ?? 0;
}

/** "Not found" and not a word of what: some servers and proxies answer so to whatever is not there. */
export function isBare404(failure: unknown): boolean {
  const problem = s3ProblemOf(failure);
  return problem !== undefined && problem.status === 404 && problem.code === '' && !problem.foreign;
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

function chooseReason({ code, systemCode, status, message, foreign }: S3Problem): FailureReason {
  if (tlsCode.test(systemCode) || (status === 0 && /certificate/i.test(message))) return 'TlsFailed';
  const known = byCode[code];
  // A rate is a quota, too.
  const isThrottled = known === 'StorageThrottled' || (known === undefined && [429, 503].includes(status));
  if (status > 0 && !isThrottled && saysFull(`${code} ${message}`)) return 'StorageFull';
  if (known !== undefined) return known;
  if (unreachable.has(systemCode) || message.includes('socket hang up')) return 'StorageUnreachable';
  if (systemCode.startsWith('HPE_')) return 'StorageConfigInvalid';
  if (status >= 200 && status < 300) return foreign ? 'StorageConfigInvalid' : 'StorageFailed';
  // What is not known of 3xx and 4xx is of the request: the same one will be refused again.
  return byStatus[status] ?? (status >= 300 && status < 500 ? 'StorageConfigInvalid' : 'StorageFailed');
}

function readS3Problem(error: unknown): S3Problem {
  if (error instanceof S3Refusal) return error.problem;
  const shape = asRecord(error);
  const metadata = asRecord(shape['$metadata']);
  const inner = asRecord(shape['cause']);
  return {
    code: text(shape['Code']) || text(shape['name']),
    systemCode: text(shape['code']) || text(inner['code']),
    status: typeof metadata['httpStatusCode'] === 'number' ? metadata['httpStatusCode'] : 0,
    message: error instanceof Error ? text(error.message) : String(error),
    requestId: text(metadata['requestId']),
    foreign: false,
  };
}

function describe({ code, status, message, requestId, foreign }: S3Problem): string {
  if (foreign && status > 0) return `HTTP ${status}, ${message}`;
  const short = message
    .replaceAll(/https?:\/\/\S+/g, '(url)')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300);
  const about = [status > 0 ? `HTTP ${status}` : '', requestId === '' ? '' : `request ${requestId.slice(0, 100)}`];
  const details = about.filter((part) => part !== '').join(', ');
  const known = code === '' || code === 'Error' || short.startsWith(code) ? short : `${code}: ${short}`;
  if (known === '') return details;
  return details === '' ? known : `${known} (${details})`;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
