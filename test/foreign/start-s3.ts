import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { Certificate } from '../servers/certificates.ts';
import { startProgram } from '../servers/program.ts';
import { startS3 } from '../servers/s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import type { PlaceUnderTest } from '../suites/storage-conformance.ts';
import { foreignPrograms } from './programs.ts';
import { s3PlaceUnderTest, type S3Door } from './s3-place.ts';

const keys = { accessKeyId: 'test-key', secretAccessKey: 'test-secret' };
const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent' };

/** All of AWS that moto plays, S3 and STS among it; over TLS with a certificate. */
export async function startMotoServer(
  tls?: Certificate,
  host = '127.0.0.1',
): Promise<{ readonly door: S3Door; readonly output: () => string; readonly stop: () => Promise<void> }> {
  const program = await startProgram({
    command: foreignPrograms.moto,
    args: (free) => [
      '-H',
      '127.0.0.1',
      '-p',
      `${free}`,
      ...(tls === undefined ? [] : ['-c', tls.certFile, '-k', tls.keyFile]),
    ],
    env,
  });
  const endpoint = `${tls === undefined ? 'http' : 'https'}://${host}:${program.port}`;
  return { door: { endpoint, ...keys }, output: () => program.output(), stop: () => program.stop() };
}

export async function startMoto(): Promise<PlaceUnderTest> {
  const { door, stop } = await startMotoServer();
  await createBucket(door);
  return s3PlaceUnderTest(door, door, stop);
}

export async function startGofakes3(): Promise<PlaceUnderTest> {
  const program = await startProgram({
    command: foreignPrograms.gofakes3,
    args: (port) => [`127.0.0.1:${port}`, 'backups'],
    env,
  });
  const door = { endpoint: `http://127.0.0.1:${program.port}`, ...keys };
  return s3PlaceUnderTest(door, door, () => program.stop());
}

export async function startFauxqs(): Promise<PlaceUnderTest> {
  const folder = await makeTemporaryFolder();
  const server = await startS3({ dir: folder.path });
  await server.createBucket('backups');
  return s3PlaceUnderTest(server, server, async () => {
    await server.stop();
    await folder.remove();
  });
}

export async function createBucket({ endpoint, ...credentials }: S3Door, ca?: string): Promise<void> {
  const client = new S3Client({
    endpoint,
    credentials,
    forcePathStyle: true,
    region: 'us-east-1',
    ...(ca === undefined ? {} : { requestHandler: { httpsAgent: { ca } } }),
  });
  await client.send(new CreateBucketCommand({ Bucket: 'backups' }));
  client.destroy();
}
