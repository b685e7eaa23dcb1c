import { KubeError, type KubeErrorCode } from './client.ts';

/** The members of a `Status` object (meta/v1) that matter here. */
export interface KubeStatus {
  readonly kind: 'Status';
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly name?: string; readonly retryAfterSeconds?: number };
}

export function isKubeStatus(value: unknown): value is KubeStatus {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status';
}

/** A Status in the text of an answer, or undefined when the text is something else (a proxy's HTML page, plain text). */
export function parseKubeStatus(text: string): KubeStatus | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isKubeStatus(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The error for an answer with an HTTP status other than 2xx, or (0) for the Status of a watch's ERROR event.
 * `text` is the body when it was not a Status; only its beginning is kept.
 */
export function errorOfAnswer(
  httpStatus: number,
  status: KubeStatus | undefined,
  text: string,
  retryAfter: string | undefined,
  nowMs: number,
): KubeError {
  const code = httpStatus > 0 ? httpStatus : (status?.code ?? 500);
  const message = status?.message ?? (text.trim().slice(0, 300) || `the API server answered ${code}`);
  return new KubeError(codeOf(code, status?.reason, message), message, {
    status: code,
    retryAfterSeconds: readRetryAfter(retryAfter, nowMs) ?? status?.details?.retryAfterSeconds,
  });
}

function codeOf(code: number, reason: string | undefined, message: string): KubeErrorCode {
  switch (code) {
    case 400:
      // Strict field validation answers 400 for an unknown field; to whoever wrote the object it is the same as a failed schema.
      return message.includes('strict decoding error') ? 'Invalid' : 'BadRequest';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 409:
      return reason === 'AlreadyExists' ? 'AlreadyExists' : 'Conflict';
    case 410:
      return 'Gone';
    case 422:
      return 'Invalid';
    case 429:
      return 'TooManyRequests';
    default:
      return code >= 500 || code === 408 ? 'ServerError' : 'BadRequest';
  }
}

/** Seconds from a Retry-After header, which carries either seconds or an HTTP date. */
function readRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - nowMs) / 1000));
}
