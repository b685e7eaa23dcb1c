import { Failure } from '../api/failure.ts';

type KmsReason =
  | 'KmsKeyMissing'
  | 'KmsKeyDisabled'
  | 'KmsDenied'
  | 'KmsThrottled'
  | 'KmsUnreachable'
  | 'KmsConfigInvalid'
  | 'KeyDamaged'
  | 'TlsFailed';

const byName: Readonly<Record<string, KmsReason>> = {
  NotFoundException: 'KmsKeyMissing',
  DisabledException: 'KmsKeyDisabled',
  KMSInvalidStateException: 'KmsKeyDisabled',
  AccessDeniedException: 'KmsDenied',
  AccessDenied: 'KmsDenied',
  UnrecognizedClientException: 'KmsDenied',
  InvalidClientTokenId: 'KmsDenied',
  InvalidSignatureException: 'KmsDenied',
  SignatureDoesNotMatch: 'KmsDenied',
  IncompleteSignature: 'KmsDenied',
  IncompleteSignatureException: 'KmsDenied',
  MissingAuthenticationToken: 'KmsDenied',
  MissingAuthenticationTokenException: 'KmsDenied',
  ExpiredToken: 'KmsDenied',
  ExpiredTokenException: 'KmsDenied',
  NotAuthorized: 'KmsDenied',
  OptInRequired: 'KmsDenied',
  CredentialsProviderError: 'KmsDenied',
  TokenProviderError: 'KmsDenied',
  ThrottlingException: 'KmsThrottled',
  Throttling: 'KmsThrottled',
  RequestLimitExceeded: 'KmsThrottled',
  TooManyRequestsException: 'KmsThrottled',
  LimitExceededException: 'KmsThrottled',
  KMSInternalException: 'KmsUnreachable',
  DependencyTimeoutException: 'KmsUnreachable',
  KeyUnavailableException: 'KmsUnreachable',
  TimeoutError: 'KmsUnreachable',
  InvalidCiphertextException: 'KeyDamaged',
  IncorrectKeyException: 'KeyDamaged',
};

const hints: Readonly<Partial<Record<KmsReason, string>>> = {
  KmsKeyMissing:
    'correct kms.keyId; an id and an alias are looked for in kms.region alone, and a key of another account is named by its ARN',
  KmsKeyDisabled: 'enable the key, or cancel its deletion',
  KmsDenied:
    'allow kms:Encrypt to who backs up and kms:Decrypt to who restores, in the policy of the key and of the role, and correct credentials that are refused',
  KmsUnreachable: 'check kms.endpoint, network policies and HTTPS_PROXY',
  KmsConfigInvalid: 'correct kms.keyId (a symmetric key that encrypts), kms.region and kms.endpoint',
  TlsFailed: 'give the authority of the endpoint’s certificate in kms.ca, or correct kms.endpoint',
};

const tlsCode = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO|INVALID_CA)/;

/** Any error of a request to AWS KMS as a Failure. Of the request (headers, signatures) nothing is passed on. */
export function toKmsFailure(error: unknown, what: string): Failure {
  if (error instanceof Failure) {
    const { reason, message, hint } = error;
    return new Failure(reason, `${what}: ${message}`, { ...(hint === undefined ? {} : { hint }), cause: error });
  }
  const { name, code, status, message } = read(error);
  const reason = chooseReason(name, code, status, message);
  const hint = hints[reason];
  const told = [name === 'Error' ? '' : name, message, status > 0 ? `(HTTP ${status})` : code].filter(Boolean);
  return new Failure(reason, `${what}: ${told.join(' ')}`, hint === undefined ? {} : { hint });
}

function chooseReason(name: string, code: string, status: number, message: string): KmsReason {
  if (tlsCode.test(code) || (status === 0 && /certificate/i.test(message))) return 'TlsFailed';
  const known = byName[name];
  if (known !== undefined) return known;
  if (status === 429) return 'KmsThrottled';
  if (status === 401 || status === 403) return 'KmsDenied';
  // What is not known of 2xx to 4xx will be answered so again.
  return status >= 200 && status < 500 ? 'KmsConfigInvalid' : 'KmsUnreachable';
}

interface KmsProblem {
  readonly name: string;
  readonly code: string;
  readonly status: number;
  readonly message: string;
}

function read(error: unknown): KmsProblem {
  const shape = members(error);
  const status = members(shape['$metadata'])['httpStatusCode'] ?? members(shape['$response'])['statusCode'];
  const code = shape['code'] ?? members(shape['cause'])['code'];
  const message = error instanceof Error ? error.message : String(error);
  return {
    name: error instanceof Error ? error.name.slice(0, 100) : '',
    code: typeof code === 'string' ? code : '',
    status: typeof status === 'number' ? status : 0,
    // Of an answer that is no JSON the SDK adds a sentence on its own objects.
    message: message.split('\n', 1)[0]?.replaceAll(/\s+/g, ' ').slice(0, 300) ?? '',
  };
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}
