import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface BlackHole {
  /** Of 127.0.0.1. */
  readonly port: number;
  /** From now on nothing is answered: connections stay open, new ones are taken, and no byte passes. */
  open(): void;
  /** Bytes pass again, over new connections: those of before are gone. */
  close(): void;
  stop(): Promise<void>;
}

/** A way to a port of 127.0.0.1 that can swallow all that is sent, as a firewall that drops packets does. */
export async function startBlackHole(target: number): Promise<BlackHole> {
  const sockets = new Set<Socket>();
  let swallows = false;
  const pass = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on('data', (bytes) => {
      if (!swallows) to.write(bytes);
    });
    from.on('end', () => {
      if (!swallows) to.end();
    });
    // Each end hears of the other's by its close.
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      if (!swallows) to.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    pass(client, upstream);
    pass(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    open: () => {
      swallows = true;
    },
    close: () => {
      swallows = false;
      drop();
    },
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      drop();
      await closed;
    },
  };
}
