import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificates.ts';

/** One request as a script sees it. */
export interface KmsRequest {
  readonly operation: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** As the signature has it. */
  readonly accessKeyId: string;
  readonly region: string;
  readonly response: ServerResponse;
}

/** What happens instead of the right answer; undefined = the right answer. */
export type KmsFault =
  | undefined
  | 'reset'
  | 'hang'
  | { readonly status: number; readonly name: string }
  | { readonly raw: (response: ServerResponse) => void };

export interface KmsKey {
  readonly id: string;
  readonly arn: string;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
}

export interface KmsServer {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly requests: readonly KmsRequest[];
  script: (request: KmsRequest) => KmsFault;
  addKey(region?: string): KmsKey;
  /** Under `alias/NAME`; moves it if it is there. */
  setAlias(name: string, key: KmsKey): void;
  stop(): Promise<void>;
}

const account = '111122223333';

interface StoredKey extends KmsKey {
  readonly region: string;
  readonly secret: Buffer;
}

/** A small AWS KMS that encrypts: AES-256-GCM over the encryption context. It knows key ids, not signatures. */
export async function startKms(tls?: Certificate): Promise<KmsServer> {
  const keys = new Map<string, StoredKey>();
  const aliases = new Map<string, string>();
  const requests: KmsRequest[] = [];
  const state: { script: KmsServer['script'] } = { script: () => undefined };
  const accessKeyId = `AKIA${randomBytes(6).toString('hex')}`;

  const find = (name: unknown, region: string): StoredKey | undefined => {
    const text = String(name);
    const [, of = region] = /^arn:aws:kms:([a-z0-9-]+):/.exec(text) ?? [];
    const resource = text.replace(/^arn:aws:kms:[a-z0-9-]+:\d+:/, '').replace(/^key\//, '');
    const key = keys.get(aliases.get(`${of} ${resource}`) ?? resource);
    return key?.region === region && of === region ? key : undefined;
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const [, id = '', region = ''] =
      /Credential=([^/]+)\/\d+\/([^/]+)\/kms\//.exec(incoming.headers.authorization ?? '') ?? [];
    const operation = String(incoming.headers['x-amz-target']).replace('TrentService.', '');
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    const request = { operation, body, accessKeyId: id, region, response };
    requests.push(request);
    const refuse = (status: number, name: string): void =>
      void response
        .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify({ __type: name, message: `${name} as told` }));
    const fault = state.script(request);
    if (fault === 'reset') return void incoming.socket.resetAndDestroy();
    if (fault === 'hang') return;
    if (fault !== undefined && 'raw' in fault) return fault.raw(response);
    if (fault !== undefined) return refuse(fault.status, fault.name);
    if (id !== accessKeyId) return refuse(400, 'UnrecognizedClientException');
    const key = find(body['KeyId'], region);
    if (key === undefined) return refuse(400, 'NotFoundException');
    if (key.state === 'Disabled') return refuse(400, 'DisabledException');
    if (key.state === 'PendingDeletion') return refuse(400, 'KMSInvalidStateException');
    const context = Object.entries((body['EncryptionContext'] ?? {}) as Record<string, string>);
    const aad = JSON.stringify(context.sort(([one], [other]) => (one < other ? -1 : 1)));
    const done = (answer: Readonly<Record<string, string>>): void =>
      void response
        .writeHead(200, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify({ KeyId: key.arn, ...answer }));
    if (operation === 'Encrypt') {
      const plain = Buffer.from(String(body['Plaintext']), 'base64');
      return done({ CiphertextBlob: encrypt(key, plain, aad).toString('base64') });
    }
    if (operation !== 'Decrypt') return refuse(400, 'UnknownOperationException');
    const plain = decrypt(key, Buffer.from(String(body['CiphertextBlob']), 'base64'), aad);
    if (plain === undefined) return refuse(400, 'InvalidCiphertextException');
    return done({ Plaintext: plain.toString('base64') });
  };

  const onRequest = (incoming: IncomingMessage, response: ServerResponse): void =>
    void serve(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  const server =
    tls === undefined
      ? createHttpServer(onRequest)
      : createHttpsServer({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) }, onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accessKeyId,
    secretAccessKey: 'secret-of-kms',
    requests,
    get script() {
      return state.script;
    },
    set script(script) {
      state.script = script;
    },
    addKey: (region = 'eu-west-1') => {
      const id = randomUUID();
      const arn = `arn:aws:kms:${region}:${account}:key/${id}`;
      const key: StoredKey = { id, arn, region, state: 'Enabled', secret: randomBytes(32) };
      keys.set(id, key);
      return key;
    },
    setAlias: (name, { arn, id }) => void aliases.set(`${arn.split(':')[3]} alias/${name}`, id),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function encrypt({ id, secret }: StoredKey, plain: Buffer, aad: string): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(Buffer.from(aad));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([Buffer.from(id), iv, sealed, cipher.getAuthTag()]);
}

function decrypt({ id, secret }: StoredKey, blob: Buffer, aad: string): Buffer | undefined {
  const [name, iv, sealed, tag] = [
    blob.subarray(0, 36),
    blob.subarray(36, 48),
    blob.subarray(48, -16),
    blob.subarray(-16),
  ];
  if (name.toString() !== id) return undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', secret, iv).setAAD(Buffer.from(aad)).setAuthTag(tag);
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  } catch {
    return undefined;
  }
}
