import { createHash, createHmac } from 'node:crypto';

/** A request to S3 as it was signed: header names in lower case. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query as they stand in the request line. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Signs a request anew (AWS Signature Version 4) after headers were dropped or the body was changed on the way: same key id, time and
 * scope, and of the headers that were signed before those that are still there.
 */
export function signAgain({ method, url, headers }: SignedRequest, secretAccessKey: string): string {
  const { scope, keyId, signed } = readAuthorization(headers['authorization'] ?? '');
  const [date = '', region = '', service = ''] = scope.split('/');
  const names = signed.filter((name) => headers[name] !== undefined);
  const [path = '/', query = ''] = url.split('?', 2);
  const canonical = [
    method,
    path,
    canonicalQuery(query),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}`),
    '',
    names.join(';'),
    headers['x-amz-content-sha256'] ?? '',
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'] ?? '', scope, sha256(canonical)].join('\n');
  let key: Buffer | string = `AWS4${secretAccessKey}`;
  for (const step of [date, region, service, 'aws4_request']) key = hmac(key, step);
  const signature = hmac(key, text).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=${keyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
}

/** The key id of an Authorization header, '' if there is none. */
export function keyIdOf(authorization: string | undefined): string {
  return readAuthorization(authorization ?? '').keyId;
}

function readAuthorization(header: string) {
  const [, keyId = '', scope = ''] = /Credential=([^/]+)\/([^,]+),/.exec(header) ?? [];
  const [, signed = ''] = /SignedHeaders=([^,]+),/.exec(header) ?? [];
  return { keyId, scope, signed: signed.split(';') };
}

function canonicalQuery(query: string): string {
  const pairs = query.split('&').filter(Boolean);
  return pairs
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .sort()
    .join('&');
}

export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
