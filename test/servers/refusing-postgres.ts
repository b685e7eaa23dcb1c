import { createServer, type AddressInfo } from 'node:net';

export interface RefusingPostgres {
  readonly host: string;
  readonly port: number;
  readonly logins: () => number;
  stop(): Promise<void>;
}

const requestTls = 80_877_103;

/** Answers every login with one ErrorResponse and hangs up, as poolers do; without TLS, or with nothing at all as an answer to it. */
export async function startRefusingPostgres(code: string, message: string): Promise<RefusingPostgres> {
  let logins = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      if (bytes.length >= 8 && bytes.readUInt32BE(4) === requestTls) {
        socket.write('N');
        return;
      }
      logins += 1;
      const fields = `SFATAL\0VFATAL\0C${code}\0M${message}\0\0`;
      const head = Buffer.alloc(5);
      head.write('E');
      head.writeUInt32BE(Buffer.byteLength(fields) + 4, 1);
      socket.end(Buffer.concat([head, Buffer.from(fields)]));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    logins: () => logins,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
