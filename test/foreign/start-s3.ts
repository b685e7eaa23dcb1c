import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startProgram } from '../servers/program.ts';
import { startS3 } from '../servers/s3.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import type { PlaceUnderTest } from '../suites/storage-conformance.ts';
import { foreignPrograms } from './programs.ts';
import { s3PlaceUnderTest, type S3Door } from './s3-place.ts';

const keys = { accessKeyId: 'test-key', secretAccessKey: 'test-secret' };
const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent' };

export async function startMoto(): Promise<PlaceUnderTest> {
  const program = await startProgram({
    command: foreignPrograms.moto,
    args: (port) => ['-H', '127.0.0.1', '-p', `${port}`],
    env,
  });
  const door = { endpoint: `http://127.0.0.1:${program.port}`, ...keys };
  await createBucket(door);
  return s3PlaceUnderTest(door, door, () => program.stop());
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

async function createBucket({ endpoint, ...credentials }: S3Door): Promise<void> {
  const client = new S3Client({ endpoint, credentials, forcePathStyle: true, region: 'us-east-1' });
  await client.send(new CreateBucketCommand({ Bucket: 'backups' }));
  client.destroy();
}
