import { connect, createServer, type Socket } from 'node:net';

/**
 * `dies`: from a statement on nothing comes from the client any more, as if it was killed. `loses`: only that connection is lost, with the
 * answer. `cuts`: the same, before the server has heard the statement. `stops`: nothing is lost; it is told, so that the client can be
 * asked to stop.
 */
export type Loss = 'dies' | 'loses' | 'cuts' | 'stops';

/** In front of a PostgreSQL server; counts what clients ask of it: logins, and statements of both protocols. */
export interface StatementProxy {
  readonly port: number;
  /** So far, of all connections. */
  readonly statements: () => readonly string[];
  /** Resolves when the loss has come. */
  readonly lost: Promise<void>;
  stop(): Promise<void>;
}

/** The loss comes at the statement of this number (from 1). Unless it is cut, the server hears it and answers. */
export async function startStatementProxy(
  to: { readonly host: string; readonly port: number },
  loss?: { readonly at: number; readonly how: Loss },
): Promise<StatementProxy> {
  const statements: string[] = [];
  const sockets = new Set<Socket>();
  let isDead = false;
  let tellLost = (): void => {};
  const lost = new Promise<void>((resolve) => {
    tellLost = resolve;
  });
  const lose = (own: readonly Socket[]): void => {
    if (loss?.how === 'dies') isDead = true;
    for (const socket of isDead ? sockets : own) socket.destroy();
    tellLost();
  };

  const proxy = createServer((client) => {
    if (isDead) {
      client.destroy();
      return;
    }
    const upstream = connect(to.port, to.host);
    const own = [client, upstream] as const;
    let isDoomed = false;
    const count = (text: string): void => {
      statements.push(text);
      if (statements.length !== loss?.at) return;
      if (loss.how === 'stops') tellLost();
      else isDoomed = true;
    };
    const read = readStatements(count);
    for (const socket of own) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        for (const other of own) other.destroy();
      });
    }
    client.on('data', (piece: Buffer) => {
      read(piece);
      if (isDoomed && loss?.how === 'cuts') lose(own);
      else upstream.write(piece);
    });
    upstream.on('data', (piece: Buffer) => {
      if (isDoomed) lose(own);
      else client.write(piece);
    });
  });
  await new Promise<void>((resolve, reject) => {
    proxy.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = proxy.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    statements: () => statements,
    lost,
    stop: async () => {
      const closed = new Promise<void>((resolve) => {
        proxy.close(() => resolve());
      });
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Tells the beginning of every statement in what a client sends, however it comes in pieces. */
function readStatements(onStatement: (text: string) => void): (piece: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let isLogin = true;
  return (piece) => {
    rest = Buffer.concat([rest, piece]);
    for (;;) {
      const head = isLogin ? 0 : 1;
      if (rest.length < head + 4) return;
      const end = head + rest.readInt32BE(head);
      if (rest.length < end) return;
      const type = isLogin ? 'login' : rest.toString('latin1', 0, 1);
      const body = rest.subarray(head + 4, end);
      rest = rest.subarray(end);
      isLogin = false;
      if (type === 'login') onStatement('login');
      if (type === 'Q') onStatement(start(body));
      // Behind the name of the prepared statement.
      if (type === 'P') onStatement(start(body.subarray(body.indexOf(0) + 1)));
    }
  };
}

function start(text: Buffer): string {
  return text.toString('latin1', 0, 200).replace(/\0.*$/s, '').replaceAll(/\s+/g, ' ').slice(0, 100);
}
