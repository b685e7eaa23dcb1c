import { createServer } from 'node:net';

/** A port of 127.0.0.1 that was free a moment ago; who takes it must be ready to lose it and ask again. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port was given'));
        else resolve(address.port);
      });
    });
  });
}

const firstOwn = 20_000;
const ownEach = 1_000;
let given = 0;

/**
 * Ports below those that the system gives to anybody who asks for any (32768 to 60999), others in each worker of the test runner: who lets go of
 * one for a while finds it free again, and nobody answers there meanwhile.
 */
export function nextOwnPort(): number {
  const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % 10;
  given = (given + 1) % ownEach;
  return firstOwn + worker * ownEach + given;
}
