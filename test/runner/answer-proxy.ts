import { connect, createServer, type Server } from 'node:net';
import type { Postgres } from '../servers/postgres.ts';

/**
 * Passes everything on, until a client says `words`: the server hears it (unless it is not to), its answer never arrives.
 */
export async function startAnswerProxy(to: Pick<Postgres, 'host' | 'port'>, words: string, { heard = true } = {}) {
  let cuts = 0;
  const proxy: Server = createServer((client) => {
    const upstream = connect(to.port, to.host);
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    let cut = false;
    client.on('data', (piece) => {
      if (!cut && piece.includes(words)) {
        cut = true;
        cuts += 1;
        if (!heard) return end();
      }
      upstream.write(piece);
    });
    upstream.on('data', (piece) => {
      if (cut) end();
      else client.write(piece);
    });
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  const address = proxy.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    cuts: () => cuts,
    stop: () =>
      new Promise<void>((resolve) => {
        proxy.close(() => resolve());
      }),
  };
}
