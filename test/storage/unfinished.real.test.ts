import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDirectory } from '../../src/storage/directory.ts';
import { prefixStorage } from '../../src/storage/prefix.ts';
import { openS3 } from '../../src/storage/s3.ts';
import type { Storage, Unfinished } from '../../src/storage/storage.ts';
import { type Clock, systemClock, systemRandom } from '../../src/support/clock.ts';
import { type S3Request, type ScriptedS3, startScriptedS3 } from '../servers/scripted-s3.ts';
import { listTree, makeTemporaryFolder } from '../servers/temporary-folder.ts';

const go = new AbortController().signal;
const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) };

async function collect(storage: Storage, prefix: string): Promise<readonly Unfinished[]> {
  const found: Unfinished[] = [];
  for await (const item of storage.listUnfinished(prefix, go)) found.push(item);
  return found;
}

describe('unfinished uploads of a bucket', () => {
  let server: ScriptedS3;
  let storage: Storage;

  beforeEach(async () => {
    server = await startScriptedS3();
    const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'very-secret' };
    storage = openS3(
      { bucket: 'bucket', endpoint: server.endpoint, forcePathStyle: true, credentials },
      { clock, random: systemRandom },
    );
  });
  afterEach(async () => {
    await storage.close();
    await server.stop();
  });

  const answer = (page: (request: S3Request) => string): void => {
    server.script = (request) =>
      request.what === 'uploads'
        ? { body: `<ListMultipartUploadsResult>${page(request)}</ListMultipartUploadsResult>` }
        : undefined;
  };
  const upload = (key: string, id: string): string => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`;
  const more = (key: string, id: string): string =>
    `<IsTruncated>true</IsTruncated><NextKeyMarker>${key}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>`;

  test('are shown over all pages, several of one key too', async () => {
    answer(({ query }) => {
      const marker = query.get('upload-id-marker');
      if (marker === null) return upload('ns/a', '1') + more('ns/a', '1');
      return marker === '1' ? upload('ns/a', '2') + more('ns/a', '2') : upload('ns/b', '3');
    });
    const found = await collect(storage, 'ns/');
    expect(found.map(({ key, uploadId }) => `${key} ${uploadId}`)).toEqual(['ns/a 1', 'ns/a 2', 'ns/b 3']);
  });

  test('of other keys are left out where the server does not look at the prefix', async () => {
    answer(() => upload('ns/a', '1') + upload('other/a', '2') + upload('ns2/a', '3'));
    expect(await collect(storage, 'ns/')).toEqual([{ key: 'ns/a', uploadId: '1', sinceMs: 0 }]);
    expect(await collect(prefixStorage(storage, 'other'), '')).toEqual([{ key: 'a', uploadId: '2', sinceMs: 0 }]);
  });

  test('of a server that goes round in circles fail the listing', async () => {
    answer(({ index }) => upload('ns/a', '1') + more('ns/a', index % 2 === 0 ? '1' : '0'));
    await expect(collect(storage, 'ns/')).rejects.toMatchObject({ reason: 'StorageFailed' });
    expect(server.requests.length).toBeLessThan(5_000);
  });

  test.each([
    ['does not allow it', 403, 'AccessDenied', 'StorageDenied'],
    ['does not know it', 501, 'NotImplemented', 'StorageConfigInvalid'],
  ])('of a server that %s fail the listing', async (_, status, code, reason) => {
    server.script = ({ what }) => (what === 'uploads' ? { status, code } : undefined);
    await expect(collect(storage, 'ns/')).rejects.toMatchObject({ reason });
  });

  test('of a server that lists objects instead are not known, which is not none', async () => {
    const body = '<ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount></ListBucketResult>';
    server.script = ({ what }) => (what === 'uploads' ? { body } : undefined);
    await expect(collect(storage, 'ns/')).rejects.toMatchObject({ reason: 'StorageConfigInvalid' });
    server.script = () => undefined;
    expect(await collect(storage, 'ns/')).toEqual([]);
  });

  test('that somebody else aborts at the same time count as removed', async () => {
    await storage.removeUnfinished({ key: 'ns/a', uploadId: 'gone', sinceMs: 0 }, go);
    expect(server.requests.map(({ what }) => what)).toContain('abort');
  });
});

describe('temporary files of a directory', () => {
  const temporary = `.pgbackup-tmp,${'0a'.repeat(12)}`;
  let folder: Awaited<ReturnType<typeof makeTemporaryFolder>>;
  let root: string;
  let storage: Storage;

  beforeEach(async () => {
    folder = await makeTemporaryFolder();
    root = join(folder.path, 'root');
    await mkdir(join(root, 'ns/deep'), { recursive: true });
    storage = openDirectory({ path: root }, { random: systemRandom });
  });
  afterEach(() => folder.remove());

  test('are told with size and time, and nothing else is: no object, no similar name, no link, nothing behind a link', async () => {
    await writeFile(join(root, 'ns/deep', temporary), 'twelve bytes');
    await utimes(join(root, 'ns/deep', temporary), 1_700_000_000, 1_700_000_000);
    for (const name of ['object', '.pgbackup-tmp', `${temporary}0`, `x${temporary}`, temporary.replace('0a', '0A')])
      await writeFile(join(root, 'ns', name), 'x');
    await mkdir(join(folder.path, 'outside'));
    await writeFile(join(folder.path, 'outside', temporary), 'x');
    await symlink(join(folder.path, 'outside'), join(root, 'ns/link'));
    await symlink(join(folder.path, 'outside', temporary), join(root, 'ns', temporary));
    expect(await collect(storage, '')).toEqual([
      { key: `ns/deep/${temporary}`, bytes: 12, sinceMs: 1_700_000_000_000 },
    ]);
  });

  test('are the only thing that is removed as unfinished', async () => {
    await writeFile(join(root, 'ns/object'), 'x');
    await writeFile(join(folder.path, temporary), 'x');
    const before = await listTree(folder.path);
    for (const key of ['ns/object', `../${temporary}`, `ns/../../${temporary}`, `/${temporary}`, ''])
      await expect(storage.removeUnfinished({ key, sinceMs: 0 }, go), key).rejects.toMatchObject({
        reason: 'StorageConfigInvalid',
      });
    expect(await listTree(folder.path)).toEqual(before);
  });
});
