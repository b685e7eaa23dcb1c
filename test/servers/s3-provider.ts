import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Refusal, S3Manners, S3Option } from './s3-manners.ts';
import type { S3Server } from './s3.ts';
import { type S3Verb, verbOf } from './s3-verb.ts';
import { keyIdOf, sha256, signAgain } from './sign-s3.ts';

export interface S3Provider {
  readonly endpoint: string;
  /** What was refused so far: options, and `unknown`, `unequal parts` or `busy`. */
  readonly refused: ReadonlySet<string>;
  stop(): Promise<void>;
}

interface Asked {
  readonly verb: S3Verb;
  readonly method: string;
  readonly url: string;
  readonly uploadId: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of a completion; other bodies pass as they come. */
  readonly body: string | undefined;
}

/** A reverse proxy before a real S3 server with the manners of a provider. */
export async function startS3Provider(
  target: Pick<S3Server, 'endpoint' | 'accessKeyId' | 'secretAccessKey'>,
  manners: S3Manners,
): Promise<S3Provider> {
  const { hostname, port: targetPort } = new URL(target.endpoint);
  const refused = new Set<string>();
  /** Length of each part, by upload. */
  const lengths = new Map<string, Map<number, number>>();
  /** Opaque ETags of ours, and the server's own. */
  const realTags = new Map<string, string>();
  const opaqueTags = new Map<string, string>();
  const busyWith = new Set<string>();
  let puts = 0;

  const server = createServer((incoming, response) => {
    incoming.on('error', () => undefined);
    response.on('error', () => undefined);
    serve(incoming, response).catch(() => incoming.socket.destroy());
  });

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = await readAsked(incoming);
    const refusal = chooseRefusal(asked);
    if (refusal !== undefined) {
      for await (const _ of incoming);
      return answer(response, refusal);
    }
    if (asked.verb === 'part') note(asked);
    await forward(incoming, response, adapt(asked), asked);
  }

  function chooseRefusal(asked: Asked): Pick<Refusal, 'status' | 'code' | 'message'> | undefined {
    const { verb, url } = asked;
    if (manners.unknown?.includes(verb) === true) {
      refused.add('unknown');
      return { status: 501, code: 'NotImplemented', message: `${verb} is not implemented` };
    }
    const found = manners.refuses?.find(({ option, on }) => (on?.includes(verb) ?? true) && carries(asked, option));
    if (found !== undefined) {
      refused.add(found.option);
      return found;
    }
    if (manners.equalParts === true && verb === 'complete' && !areEqual(lengths.get(asked.uploadId))) {
      refused.add('unequal parts');
      return { status: 400, code: 'InvalidPart', message: 'All non-trailing parts must have the same length.' };
    }
    if (manners.busyEvery === undefined || (verb !== 'put' && verb !== 'part') || busyWith.delete(url))
      return undefined;
    puts += 1;
    if (puts % manners.busyEvery !== 0) return undefined;
    busyWith.add(url);
    refused.add('busy');
    return { status: 503, code: 'ServiceUnavailable', message: 'no tomes available' };
  }

  function note({ uploadId, url, headers }: Asked): void {
    const number = Number(new URLSearchParams(url.split('?')[1]).get('partNumber'));
    const parts = lengths.get(uploadId) ?? new Map<number, number>();
    lengths.set(uploadId, parts.set(number, Number(headers['content-length'])));
  }

  /** What the real server is asked: without what is ignored, with its own ETags, and signed anew when something changed. */
  function adapt(asked: Asked): Asked {
    const { verb, headers } = asked;
    const isIgnored = (name: string): boolean =>
      manners.ignores?.some((option) => optionOf(name, verb) === option) === true;
    const kept = Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => !isIgnored(name))
        .map(([name, value]) => [name, name === 'if-match' ? `"${realTagOf(value)}"` : value]),
    );
    const body = asked.body?.replaceAll(/(?<=<ETag>)[^<]*(?=<)/g, (tag) => `"${realTagOf(tag)}"`);
    // Whom the real server does not know is to be refused by it.
    if (keyIdOf(headers['authorization']) !== target.accessKeyId) return asked;
    if (body !== undefined) {
      kept['x-amz-content-sha256'] = sha256(body);
      kept['content-length'] = `${Buffer.byteLength(body)}`;
    }
    return {
      ...asked,
      body,
      headers: { ...kept, authorization: signAgain({ ...asked, headers: kept }, target.secretAccessKey) },
    };
  }

  function realTagOf(tag: string): string {
    const plain = unquote(tag);
    return realTags.get(plain) ?? plain;
  }

  async function forward(
    incoming: IncomingMessage,
    response: ServerResponse,
    { method, url, headers, body }: Asked,
    asked: Asked,
  ): Promise<void> {
    const onward = send({ host: hostname, port: targetPort, method, path: url, headers, agent: false });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      onward.once('response', resolve).on('error', reject);
    });
    answered.catch(() => undefined);
    response.once('close', () => onward.destroy());
    if (body === undefined) incoming.pipe(onward);
    else onward.end(body);
    const told = await answered;
    const headersBack = Object.fromEntries(
      Object.entries(told.headers).filter(
        ([name]) => manners.tellsNoChecksum !== true || !name.startsWith('x-amz-checksum-'),
      ),
    );
    const { etag } = told.headers;
    if (etag !== undefined) headersBack['etag'] = `"${disguise(unquote(etag), asked.verb)}"`;
    if (asked.verb !== 'complete' && asked.verb !== 'list') {
      response.writeHead(told.statusCode ?? 502, headersBack);
      return void told.pipe(response);
    }
    const text = (await readText(told)).replaceAll(
      /(?<=<ETag>)[^<]*(?=<)/g,
      (tag) => `&quot;${disguise(unquote(tag), asked.verb)}&quot;`,
    );
    if (asked.verb === 'complete') lengths.delete(asked.uploadId);
    delete headersBack['transfer-encoding'];
    response.writeHead(told.statusCode ?? 502, { ...headersBack, 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }

  function disguise(tag: string, verb: S3Verb): string {
    const isOpaque =
      verb === 'part'
        ? manners.opaqueTags?.includes('parts') === true
        : manners.opaqueTags?.includes('objects') === true && tag.includes('-');
    if (!isOpaque) return tag;
    const known = opaqueTags.get(tag);
    if (known !== undefined) return known;
    // As long as R2's, and in no alphabet of hashes.
    const opaque = Buffer.from(sha256(`opaque ${tag}`)).toString('base64url');
    opaqueTags.set(tag, opaque);
    realTags.set(opaque, tag);
    return opaque;
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    refused,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readAsked(incoming: IncomingMessage): Promise<Asked> {
  const { method = '', url = '/' } = incoming;
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const verb = verbOf(method, searchParams, pathname.split('/').slice(2).join('/'));
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = String(value);
  }
  const body = verb === 'complete' ? await readText(incoming) : undefined;
  return { verb, method, url, uploadId: searchParams.get('uploadId') ?? '', headers, body };
}

function carries(asked: Asked, option: S3Option): boolean {
  if (option === 'checksum-elements') return asked.body?.includes('<Checksum') === true;
  return Object.keys(asked.headers).some((name) => optionOf(name, asked.verb) === option);
}

function optionOf(header: string, verb: S3Verb): S3Option | undefined {
  if (header === 'x-amz-checksum-mode') return 'checksum-mode';
  if (header === 'x-amz-checksum-algorithm') return 'checksum-algorithm';
  if (header.startsWith('x-amz-checksum-') || header === 'x-amz-sdk-checksum-algorithm') return 'checksum';
  if (header === 'if-none-match') return verb === 'put' || verb === 'complete' ? 'condition' : undefined;
  if (header === 'expect') return 'expect';
  if (header === 'content-md5') return 'content-md5';
  return undefined;
}

function areEqual(parts: ReadonlyMap<number, number> | undefined): boolean {
  const inOrder = [...(parts ?? [])].sort(([a], [b]) => a - b).map(([, length]) => length);
  const [first = 0] = inOrder;
  return inOrder.every((length, index) => length === first || (index === inOrder.length - 1 && length <= first));
}

const unquote = (tag: string): string => tag.replaceAll(/&quot;|&#34;|"/g, '');

async function readText(stream: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

function answer(
  response: ServerResponse,
  { status, code, message }: Pick<Refusal, 'status' | 'code' | 'message'>,
): void {
  const text = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(text) });
  response.end(response.req.method === 'HEAD' ? '' : text);
}
