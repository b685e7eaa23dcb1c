import type { FailureReason } from '../api/reasons.ts';
import type { S3Problem } from './s3-answer.ts';

/** What is known of the location that a request failed at. */
export interface HintFacts {
  readonly bucket?: string;
  readonly endpoint?: string | undefined;
  /** The bucket stands in the host name. */
  readonly virtualHost?: boolean;
}

const byCode: Readonly<Record<string, string>> = {
  SignatureDoesNotMatch:
    'correct the secret access key in the Secret that s3.credentials names; a proxy before the store must pass on the Host header (nginx: proxy_set_header Host $http_host)',
  RequestTimeTooSkewed: 'set the clock of this machine or of the store: they differ by more than 15 minutes',
  InvalidObjectState:
    'the object is in an archive class: restore it there first, and set storageClass to one that can be read at once',
  InvalidStorageClass: 'correct s3.storageClass: the store does not know it',
  ListAllMyBucketsResult: 'the server lists its buckets instead of this one: set s3.forcePathStyle: true',
};

const byReason: Partial<Readonly<Record<FailureReason, string>>> = {
  StorageThrottled: 'let fewer runs use this store at the same time, or raise its limits',
  StorageDenied:
    'allow this access key s3:ListBucket, and s3:PutObject, s3:GetObject and s3:DeleteObject below the prefix',
  StorageCredentialsInvalid: 'correct the access key in the Secret that s3.credentials names',
  StorageFull: 'make room in the bucket, or raise its quota',
  StorageFailed: 'look at the log of the store',
  TlsFailed: 'give the authority of the endpoint’s certificate in s3.ca, or correct s3.endpoint',
};

/** Advice that speaks of S3 and of what was met; undefined where there is none but to look. */
export function chooseHint(reason: FailureReason, problem: S3Problem, facts: HintFacts): string | undefined {
  const { code, status, systemCode, foreign, region, movedTo } = problem;
  const known = byCode[code];
  if (known !== undefined) return known;
  if (speaksNoTls(problem))
    return 's3.endpoint says https, and what answers does not speak TLS: write http:// if that is meant, or correct the port';
  if (status === 413 || code === 'EntityTooLarge')
    return 'requests of 8 MiB must be allowed (a proxy before the store: nginx has client_max_body_size 16m)';
  const misplaced = hintOfMisplacedBucket(reason, problem, facts);
  if (misplaced !== undefined) return misplaced;
  if (region !== undefined && reason === 'StorageConfigInvalid') return `set s3.region to ${region}`;
  if (movedTo !== undefined) return `what answers sends to ${movedTo}: if that is the store, set s3.endpoint to it`;
  if (code === 'AuthorizationHeaderMalformed' || status === 301) return 'correct s3.region, or s3.endpoint';
  if (systemCode === 'ERR_PROXY_TUNNEL')
    return 'the proxy of HTTPS_PROXY does not let it through: correct it, or name the host in NO_PROXY';
  if (systemCode === 'ENOTFOUND' || systemCode === 'EAI_AGAIN')
    return 'correct s3.endpoint, or the name service of this machine';
  if (reason === 'StorageUnreachable')
    return 'check s3.endpoint, network policies and HTTPS_PROXY, and that no proxy ends requests of 8 MiB';
  if (foreign || (status === 404 && reason === 'StorageConfigInvalid'))
    return 'correct s3.endpoint: what answers there is no S3, or is not reached under this path';
  if (reason === 'StorageConfigInvalid')
    return 'correct s3.region, s3.endpoint, s3.forcePathStyle, s3.storageClass or s3.serverSideEncryption';
  if (reason === 'StorageMissing')
    return `create the bucket${facts.bucket === undefined ? '' : ` ${facts.bucket}`}, or correct s3.bucket`;
  return byReason[reason];
}

/** A port without TLS answers in words that are no TLS. */
function speaksNoTls({ systemCode, message }: S3Problem): boolean {
  return systemCode === 'EPROTO' && /wrong.version.number|packet.length.too.long|http.request/i.test(message);
}

/** With the bucket in the host name, servers that want it in the path are not found, show another certificate, or look for another bucket. */
function hintOfMisplacedBucket(
  reason: FailureReason,
  { code, systemCode }: S3Problem,
  { bucket, endpoint, virtualHost }: HintFacts,
): string | undefined {
  if (endpoint === undefined || bucket === undefined) return undefined;
  if (endpoint.replace(/\/+$/, '').endsWith(`/${bucket}`) && ['NoSuchKey', 'NoSuchBucket'].includes(code))
    return 's3.endpoint ends with the name of the bucket: leave it out there';
  if (virtualHost !== true) return undefined;
  const unfound = systemCode === 'ENOTFOUND' || systemCode === 'EAI_AGAIN';
  const otherName = systemCode === 'ERR_TLS_CERT_ALTNAME_INVALID';
  if (!unfound && !otherName && reason !== 'StorageMissing' && code !== 'MethodNotAllowed') return undefined;
  return `the bucket is asked for as ${bucket}.${new URL(endpoint).host}: set s3.forcePathStyle: true if the server wants it in the path`;
}
