/** What matters of an answer that refuses, of an error of Node's network, or of an answer that is no S3. */
export interface S3Problem {
  /** S3's own code (`NoSuchBucket`), or the error's name; '' if none. */
  readonly code: string;
  /** Node's code (`ECONNREFUSED`), '' if none. */
  readonly systemCode: string;
  /** HTTP status, 0 if there was no answer. */
  readonly status: number;
  readonly message: string;
  readonly requestId: string;
  /** The answer has a body, and that is not one of S3 (a proxy's web page). */
  readonly foreign: boolean;
  readonly retryAfterMs?: number;
  /** What the server's clock showed. */
  readonly serverTimeMs?: number;
  /** Where the bucket is, by the server's word. */
  readonly region?: string;
  /** The address that a redirect leads to, without path and query (those may be signed). */
  readonly movedTo?: string;
}

/** A refusal as it is thrown through the SDK, which adds members to what it sees thrown. */
export class S3Refusal extends Error {
  readonly problem: S3Problem;

  constructor(problem: S3Problem) {
    super(problem.message);
    this.name = 'S3Refusal';
    this.problem = problem;
  }
}

/** The part of the SDK's answer that is looked at; its own type belongs to a package of its insides. */
interface HttpAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  body: unknown;
}

/** A page of 1 000 keys of 1 024 bytes, each byte written as %XX, is 4 MiB. */
const longestAnswer = 16 * 1024 * 1024;
const longestRefusal = 64 * 1024;

/** What the answers with a body are, by the SDK's name of the request; the bodies of the others mean nothing to us. */
const roots: Readonly<Record<string, string>> = {
  ListObjectsCommand: 'ListBucketResult',
  ListObjectsV2Command: 'ListBucketResult',
  CreateMultipartUploadCommand: 'InitiateMultipartUploadResult',
  CompleteMultipartUploadCommand: 'CompleteMultipartUploadResult',
  ListPartsCommand: 'ListPartsResult',
  ListMultipartUploadsCommand: 'ListMultipartUploadsResult',
};

/**
 * Looks at an answer before the SDK reads it: nothing is read without end, and what is no answer of S3 is never taken for one. Gives back
 * the answer with its body read, but for the bytes of an object. @throws S3Refusal
 */
export async function checkAnswer(response: unknown, request: string, nowMs: number): Promise<void> {
  if (!isHttpAnswer(response)) return;
  const { statusCode: status, headers } = response;
  if (status >= 300) {
    const body = request === 'HeadObjectCommand' ? '' : await readBytes(response.body, longestRefusal);
    throw new S3Refusal(readRefusal(status, headers, body.toString(), nowMs));
  }
  if (request === 'GetObjectCommand' || request === 'HeadObjectCommand') return;
  const bytes = await readBytes(response.body, longestAnswer);
  response.body = bytes;
  const about = { code: '', systemCode: '', status, requestId: '', foreign: true };
  if (bytes.length > longestAnswer)
    throw new S3Refusal({ ...about, message: `the answer is longer than ${longestAnswer} bytes` });
  const root = rootOf(bytes.subarray(0, longestRefusal).toString());
  // Completing begins to answer before it is done: an error may come after the 200.
  if (root === 'Error') throw new S3Refusal(readRefusal(status, headers, bytes.toString(), nowMs));
  const expected = roots[request];
  if (expected === undefined && root !== 'html') return;
  if (bytes.length === 0) throw new S3Refusal({ ...about, foreign: false, message: 'the answer is empty' });
  // Some servers leave the end of the name away (InitiateMultipartUpload).
  if (root === undefined || root.replace(/Result$/, '') !== expected?.replace(/Result$/, ''))
    throw new S3Refusal({ ...about, code: root ?? '', message: 'not an S3 answer' });
  if (!endsWith(bytes.subarray(-256).toString(), root))
    throw new S3Refusal({ ...about, foreign: false, message: 'the answer is cut off' });
}

/** Also of errors that are not well-formed XML: a proxy may have put one into another. */
function readRefusal(status: number, headers: HttpAnswer['headers'], text: string, nowMs: number): S3Problem {
  const code = inside(text, 'Code');
  const message = inside(text, 'Message');
  const root = rootOf(text);
  const foreign = text.trim() !== '' && (root === 'html' || (code === '' && root !== 'Error'));
  const retryAfterMs = readRetryAfter(headers['retry-after'], nowMs);
  const serverTimeMs = Date.parse(headers['date'] ?? '');
  const movedTo = status < 400 ? originOf(headers['location']) : undefined;
  const region = headers['x-amz-bucket-region'] ?? inside(text, 'Region');
  return {
    code,
    systemCode: '',
    status,
    message: foreign ? 'not an S3 answer' : message || code,
    requestId: headers['x-amz-request-id'] ?? inside(text, 'RequestId'),
    foreign,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(Number.isNaN(serverTimeMs) ? {} : { serverTimeMs }),
    ...(region === '' ? {} : { region }),
    ...(movedTo === undefined ? {} : { movedTo }),
  };
}

/** The text in the first (and innermost) element of this name, '' if there is none. */
function inside(text: string, name: string): string {
  const [, found = ''] = new RegExp(`<(?:\\w+:)?${name}>(?:\\s*<[\\w:]+>)*([^<]{0,1000})`).exec(text) ?? [];
  return found
    .replaceAll(/&(?:lt|gt|quot|apos);|&#(?:x[0-9a-fA-F]+|[0-9]+);/g, ' ')
    .replaceAll('&amp;', '&')
    .trim();
}

/** The name of the outermost element, `html` for any document with a type (S3's have none), undefined for what is no markup. */
function rootOf(text: string): string | undefined {
  const start = text.replace(/^\uFEFF?\s*(?:<\?[^>]*>\s*|<!--.*?-->\s*)*/s, '');
  if (/^<!doctype/i.test(start)) return 'html';
  const [, name] = /^<(?:\w+:)?([A-Za-z][\w.-]*)/.exec(start) ?? [];
  return name?.toLowerCase() === 'html' ? 'html' : name;
}

function endsWith(text: string, root: string | undefined): boolean {
  return new RegExp(`(?:</(?:\\w+:)?${root}\\s*>|^[^]*<(?:\\w+:)?${root}[^<>]*/>)\\s*$`).test(text);
}

function originOf(address: string | undefined): string | undefined {
  const url = URL.parse(address ?? '');
  return url === null || url.origin === 'null' ? undefined : url.origin;
}

/** Seconds, or a date. */
function readRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** One byte more than `longest` tells that there was more; the connection is ended then. */
async function readBytes(body: unknown, longest: number): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  if (!isReadable(body)) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop destroys the stream.
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > longest) break;
  }
  return Buffer.concat(chunks).subarray(0, longest + 1);
}

function isHttpAnswer(response: unknown): response is HttpAnswer {
  return typeof response === 'object' && response !== null && 'statusCode' in response && 'headers' in response;
}

function isReadable(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
