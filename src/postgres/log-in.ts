import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { aborted } from '../pipeline/aborted.ts';
import { connectFailure } from './connect-failure.ts';
import { newClient } from './connection.ts';
import { readServerMessages } from './server-messages.ts';
import { isSocket, type Server } from './server.ts';

export interface Listener {
  /** Whether the body of a message of this type is wanted. */
  readonly isKept: (type: number) => boolean;
  readonly onMessage: (type: number, body: Buffer) => void;
  /** Nothing comes any more. */
  readonly onBreak: (error: Error) => void;
}

const connectTimeoutMs = 30_000;

/** What pg has inside: how a login is seen, and its socket had afterwards. */
interface Inside {
  readonly connection: EventEmitter & { stream: Socket; startup(settings: Readonly<Record<string, string>>): void };
}

/**
 * Logs in by `pg` (TLS, passwords), and then has the socket to itself. pg would decode statements and rows, and hold whatever the
 * server sends in memory, be it a row of 1 GiB.
 */
export async function logIn(
  server: Server,
  database: string,
  listener: Listener,
  signal: AbortSignal,
): Promise<{ readonly stream: Socket }> {
  const client = newClient(server, database, connectTimeoutMs);
  const { connection } = client as unknown as Inside;
  connection.startup = (settings) => void connection.stream.write(startup(settings));
  const take = readServerMessages(listener.isKept, listener.onMessage);
  const onChunk = (chunk: Uint8Array): void => {
    if (!take(chunk)) connection.stream.destroy(new Error('what the server sends is not the protocol of PostgreSQL'));
  };
  client.on('error', listener.onBreak);
  // From the first byte on that is the protocol: nothing is missed when pg stops listening.
  if (server.tls.mode === 'disable' || isSocket(server)) connection.stream.on('data', onChunk);
  else connection.once('sslconnect', () => connection.stream.on('data', onChunk));
  const onAbort = (): void => void connection.stream.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await client.connect();
  } catch (error) {
    connection.stream.destroy();
    if (signal.aborted) throw aborted(signal);
    throw connectFailure(error, server, database);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  const { stream } = connection;
  for (const other of stream.listeners('data')) if (other !== onChunk) stream.off('data', other as () => void);
  stream.on('error', listener.onBreak);
  stream.on('close', () => listener.onBreak(new Error('the server closed it')));
  return { stream };
}

/** pg would ask for UTF8; a script that says nothing is in the encoding that role, database or server have set. */
function startup(settings: Readonly<Record<string, string>>): Buffer {
  const body = Object.entries(settings).flatMap((setting) => setting.map((text) => `${text}\0`));
  const text = Buffer.from(`${body.join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(head.length + text.length, 0);
  head.writeInt16BE(3, 4);
  return Buffer.concat([head, text]);
}
