import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openFileSource } from '../../src/runner/restore/source/file-source.ts';
import type { Workshop } from '../../src/runner/workshop.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { writeZip } from '../builders/zip.ts';
import { collect, inPieces } from '../pipeline/streams.ts';
import { findFreePort } from '../servers/free-port.ts';
import { startS3, type S3Server } from '../servers/s3.ts';
import { startSshd, type Sshd } from '../servers/sshd.ts';
import { makeTemporaryFolder } from '../servers/temporary-folder.ts';
import { fileWanted } from './file-stand.ts';
import { workshopOf } from './workshop-of.ts';

const never = new AbortController().signal;
const tools = { clock: systemClock, random: systemRandom };
const wanted = 'SELECT 1;\n'.repeat(1000);
/** A member of some megabytes that nobody wants lies before the wanted one. */
const zip = writeZip([
  { name: 'photo.raw', content: randomBytes(6 * 1024 * 1024), method: 0 },
  { name: 'nightly.sql', content: wanted },
]);

let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterAll(() => folder.remove());

async function readFrom(workshop: Workshop, seconds = 0) {
  const source = await openFileSource(fileWanted({ pattern: 'in/*' }, { waitForServerSeconds: seconds }), workshop);
  const bytes = await collect(source.inputs[0]?.input.open(never) ?? inPieces(Buffer.alloc(0), 1));
  const result = { chosen: source.chosen, text: bytes.toString(), readBytes: source.readBytes() };
  await source.close();
  return result;
}

/** Lets connections to `port` through to `target`. */
async function openDoor(port: number, target: number): Promise<Server> {
  const door = createServer((incoming) => {
    const outgoing = connect(target, '127.0.0.1');
    incoming.on('error', () => outgoing.destroy());
    outgoing.on('error', () => incoming.destroy());
    incoming.pipe(outgoing).pipe(incoming);
  });
  await new Promise<void>((resolve, reject) => {
    door.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  return door;
}

describe('A ZIP in S3', () => {
  let server: S3Server;
  let storage: Storage;
  beforeAll(async () => {
    server = await startS3({ dir: join(folder.path, 's3'), versitygw: process.env['VERSITYGW'] });
    await server.createBucket('files');
    const { endpoint, accessKeyId, secretAccessKey } = server;
    const place = { s3: { bucket: 'files', endpoint, region: 'us-east-1', forcePathStyle: true } };
    storage = await openStorage(place, { accessKeyId, secretAccessKey }, tools);
    await storage.put('in/a.zip', inPieces(zip, 1 << 20), {}, never);
  });
  afterAll(() => server.stop());

  it('is read in ranges: what nobody wants is not fetched', async () => {
    const { text, chosen, readBytes } = await readFrom(workshopOf({ files: storage }));

    expect(text).toBe(wanted);
    expect(chosen).toMatchObject({ key: 'in/a.zip', member: 'nightly.sql', format: 'Sql', bytes: zip.length });
    expect(chosen.tag).toBeTypeOf('string');
    expect(readBytes).toBeGreaterThan(0);
    expect(readBytes).toBeLessThan(2 * 1024 * 1024);
  });
});

describe('A ZIP on an SFTP server', () => {
  let server: Sshd | undefined;
  let door: Server | undefined;
  afterAll(async () => {
    door?.close();
    await server?.stop();
  });

  it('is read when the server appears while it is waited for', async () => {
    const files = join(folder.path, 'sftp', 'in');
    await mkdir(files, { recursive: true });
    await writeFile(join(files, 'a.zip'), zip);
    server = await startSshd({ dir: join(folder.path, 'sshd') });
    const { host, username, privateKey } = server;
    const hidden = server.port;
    const port = await findFreePort();
    const hostKeys = server.hostKeys.map((line) => line.replace(`:${hidden}`, `:${port}`));
    const place = { sftp: { host, port, path: join(folder.path, 'sftp'), hostKeys } };
    const storage = await openStorage(place, { username, privateKey }, tools);
    const workshop = workshopOf({ files: storage });

    const reading = readFrom(workshop, 120);
    await vi.waitFor(() => expect(workshop.written()).toContain('WaitingForStorage'), { timeout: 60_000 });
    door = await openDoor(port, hidden);
    const { text, chosen } = await reading;

    expect(text).toBe(wanted);
    expect(chosen).toMatchObject({ key: 'in/a.zip', member: 'nightly.sql' });
  });
});
