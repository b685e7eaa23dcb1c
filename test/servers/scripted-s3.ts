import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';

/** One request as a script sees it. */
export interface S3Request {
  readonly what:
    'put' | 'begin' | 'part' | 'complete' | 'abort' | 'parts' | 'uploads' | 'head' | 'get' | 'list' | 'delete';
  readonly key: string;
  /** How many requests of this kind came before. */
  readonly index: number;
  readonly headers: IncomingMessage['headers'];
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
  /** What came with it; '' until all of it is there, as of puts and parts when the script is asked. */
  readonly body: () => string;
}

/** What happens instead of, or before, the right answer; undefined = the right answer. */
export type Fault =
  | undefined
  | 'reset'
  /** Does the work, and then resets instead of answering. */
  | 'lose-answer'
  | { readonly status: number; readonly code: string; readonly with?: Readonly<Record<string, string>> }
  /** Answers by itself, however it likes. */
  | { readonly raw: (response: ServerResponse) => void }
  | { readonly headers: Readonly<Record<string, string>> }
  | { readonly cutAfter: number }
  | { readonly body: string };

export interface ScriptedS3 {
  readonly endpoint: string;
  readonly objects: Map<string, Buffer>;
  readonly uploads: Map<string, Map<number, Buffer>>;
  readonly requests: readonly S3Request[];
  script: (request: S3Request) => Fault;
  stop(): Promise<void>;
}

/** A small S3 in memory that misbehaves as told; it checks no signatures. Bucket names are the first segment of paths. */
export async function startScriptedS3(host = '127.0.0.1'): Promise<ScriptedS3> {
  const objects = new Map<string, Buffer>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const requests: S3Request[] = [];
  const state: { script: (request: S3Request) => Fault } = { script: () => undefined };
  const server = createServer((request, response) => {
    void serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://localhost');
    const key = decodeURIComponent(url.pathname.split('/').slice(2).join('/'));
    const what = kindOf(incoming.method ?? '', url.searchParams, key);
    const index = requests.filter((request) => request.what === what).length;
    let text = '';
    // What completes an upload is small, and has come before anybody is asked.
    if (what === 'complete') for await (const chunk of incoming) text += String(chunk);
    const request = {
      what,
      key,
      index,
      headers: incoming.headers,
      query: url.searchParams,
      response,
      body: () => text,
    };
    requests.push(request);
    const fault = state.script(request);
    if (fault === 'reset') {
      incoming.once('data', () => incoming.socket.resetAndDestroy());
      if (what !== 'part' && what !== 'put') incoming.socket.resetAndDestroy();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    if (typeof fault === 'object' && 'status' in fault) return fail(response, fault.status, fault.code, fault.with);
    if (typeof fault === 'object' && 'raw' in fault) return fault.raw(response);
    if (fault === 'lose-answer') {
      answer(request, Buffer.concat(chunks), {}, undefined, true);
      return void incoming.socket.resetAndDestroy();
    }
    const extra = typeof fault === 'object' && 'headers' in fault ? fault.headers : {};
    if (typeof fault === 'object' && 'body' in fault) return void response.writeHead(200).end(fault.body);
    const cut = typeof fault === 'object' && 'cutAfter' in fault ? fault.cutAfter : undefined;
    answer(request, Buffer.concat(chunks), extra, cut, false);
  }

  function answer(
    { what, key, query, headers, response }: S3Request,
    body: Buffer,
    extra: Readonly<Record<string, string>>,
    cutAfter: number | undefined,
    silent: boolean,
  ): void {
    const say = (status: number, more: Readonly<Record<string, string>> = {}, text: Buffer | string = ''): void => {
      // An empty value takes a header away.
      const headers = Object.entries({ ...more, ...extra }).filter(([, value]) => value !== '');
      if (!silent) response.writeHead(status, Object.fromEntries(headers)).end(text);
    };
    const id = query.get('uploadId') ?? '';
    const upload = uploads.get(id);
    const object = objects.get(key);
    if (['part', 'parts', 'complete', 'abort'].includes(what) && upload === undefined)
      return fail(response, 404, 'NoSuchUpload');
    switch (what) {
      case 'put':
        objects.set(key, body);
        return say(200, acknowledge(body, headers));
      case 'begin': {
        const fresh = `upload-${uploads.size + requests.length}`;
        uploads.set(fresh, new Map());
        uploadKeys.set(fresh, key);
        return say(
          200,
          {},
          `<InitiateMultipartUploadResult><UploadId>${fresh}</UploadId></InitiateMultipartUploadResult>`,
        );
      }
      case 'part':
        upload?.set(Number(query.get('partNumber')), body);
        return say(200, acknowledge(body, headers));
      case 'complete': {
        const parts = [...(upload ?? new Map<number, Buffer>())].sort(([a], [b]) => a - b).map(([, part]) => part);
        objects.set(key, Buffer.concat(parts));
        tags.set(key, `${md5(Buffer.concat(parts.map((part) => Buffer.from(md5(part), 'hex'))))}-${parts.length}`);
        uploads.delete(id);
        return say(
          200,
          {},
          `<CompleteMultipartUploadResult><ETag>"${tags.get(key)}"</ETag></CompleteMultipartUploadResult>`,
        );
      }
      case 'parts':
        return say(200, {}, '<ListPartsResult></ListPartsResult>');
      case 'abort':
        uploads.delete(id);
        return say(204);
      case 'head':
        if (object === undefined) return say(404);
        return say(200, { etag: `"${tagOf(key, object)}"`, 'content-length': String(object.length) });
      case 'get': {
        if (object === undefined) return fail(response, 404, 'NoSuchKey');
        const tag = tagOf(key, object);
        const wanted = headers['if-match'];
        if (wanted !== undefined && wanted !== `"${tag}"`) return fail(response, 412, 'PreconditionFailed');
        const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
        const start = Number(from ?? 0);
        const end = to === undefined || to === '' ? object.length - 1 : Math.min(Number(to), object.length - 1);
        const part = object.subarray(start, end + 1);
        response.writeHead(from === undefined ? 200 : 206, {
          etag: `"${tag}"`,
          'content-length': String(part.length),
          ...(from === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${object.length}` }),
          ...extra,
        });
        if (cutAfter === undefined) return void response.end(part);
        return void response.write(part.subarray(0, cutAfter), () => response.socket?.end());
      }
      case 'list': {
        const keys = [...objects.keys()].filter((name) => name.startsWith(query.get('prefix') ?? '')).sort();
        const contents = keys.map(
          (name) => `<Contents><Key>${name}</Key><Size>${objects.get(name)?.length ?? 0}</Size></Contents>`,
        );
        return say(200, {}, `<ListBucketResult>${contents.join('')}</ListBucketResult>`);
      }
      case 'uploads': {
        const begun = [...uploads.keys()].map(
          (fresh) => `<Upload><Key>${uploadKeys.get(fresh)}</Key><UploadId>${fresh}</UploadId></Upload>`,
        );
        return say(
          200,
          {},
          `<ListMultipartUploadsResult><Bucket>bucket</Bucket>${begun.join('')}</ListMultipartUploadsResult>`,
        );
      }
      case 'delete':
        objects.delete(key);
        return say(204);
    }
  }

  const uploadKeys = new Map<string, string>();
  const tags = new Map<string, string>();
  const tagOf = (key: string, object: Buffer): string => tags.get(key) ?? md5(object);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    endpoint: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    objects,
    uploads,
    requests,
    get script() {
      return state.script;
    },
    set script(script) {
      state.script = script;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function kindOf(method: string, query: URLSearchParams, key: string): S3Request['what'] {
  if (method === 'PUT') return query.has('partNumber') ? 'part' : 'put';
  if (method === 'POST') return query.has('uploads') ? 'begin' : 'complete';
  if (method === 'DELETE') return query.has('uploadId') ? 'abort' : 'delete';
  if (method === 'HEAD') return 'head';
  if (query.has('uploadId')) return 'parts';
  if (query.has('uploads')) return 'uploads';
  return key === '' ? 'list' : 'get';
}

function acknowledge(body: Buffer, headers: IncomingMessage['headers']): Readonly<Record<string, string>> {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  const asked = headers['x-amz-checksum-crc32'] !== undefined;
  return { etag: `"${md5(body)}"`, ...(asked ? { 'x-amz-checksum-crc32': sum.toString('base64') } : {}) };
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

function fail(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>scripted ${code}</Message></Error>`;
  response
    .writeHead(status, { 'content-type': 'application/xml', ...headers })
    .end(response.req.method === 'HEAD' ? '' : body);
}
