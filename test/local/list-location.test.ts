import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalRestoreOptions } from '../../src/cli/local-restore-options.ts';
import { listLocations } from '../../src/cli/list-locations.ts';
import { printManifest, type ManifestArtifact } from '../../src/domain/manifest.ts';
import { loadObjects } from '../../src/local/load.ts';
import { makeWorld } from '../cli/make-world.ts';
import { manifestOf } from '../runner/manifest-of.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgbackup-list-'));
});
afterEach(async () => rm(folder, { recursive: true }));

/** A file that changed so many minutes after a certain time. */
async function lay(path: string, content: string | Buffer, minutes = 0): Promise<void> {
  const whole = join(folder, path);
  await mkdir(dirname(whole), { recursive: true });
  await writeFile(whole, content);
  const at = new Date(Date.UTC(2026, 0, 1, 3, minutes));
  await utimes(whole, at, at);
}

async function layBackup(id: string, minutes: number, namespace = 'default'): Promise<string> {
  const volume = `${namespace}/nightly/${id}/a1b2c3d4/shop.dump.zst`;
  const sha256 = 'a'.repeat(64);
  const artifact: ManifestArtifact = {
    volumes: [{ key: volume, bytes: 5, sha256 }],
    plain: { bytes: 50, sha256 },
    stored: { bytes: 5, sha256 },
    format: 'custom',
    compression: 'zstd',
  };
  const manifest = manifestOf(id, {
    namespace,
    startedAt: new Date(Date.UTC(2026, 0, 1, 3, minutes)).toISOString(),
    databases: [
      { name: 'shop', outcome: 'stored', artifacts: [artifact] },
      { name: 'blog', outcome: 'failed', artifacts: [] },
    ],
  });
  await lay(`${namespace}/nightly/${id}/manifest.json`, printManifest(manifest), minutes);
  await lay(volume, 'bytes', minutes);
  return volume;
}

async function list(options: Partial<LocalRestoreOptions> = {}, path = folder, location?: string) {
  const { world, stdout } = makeWorld();
  const text = `apiVersion: pgbackup.dev/v1beta1
kind: BackupLocation
metadata: { name: disk }
spec: { directory: { path: ${JSON.stringify(path)} } }
`;
  const { objects } = loadObjects([{ name: 'files', text }], '/');
  const exitCode = await listLocations(world, objects, {
    flags: { location, namespace: undefined } as LocalRestoreOptions['flags'],
    list: true,
    output: 'table',
    limit: 50,
    print: false,
    stateDir: undefined,
    color: true,
    debug: false,
    ...options,
  });
  return { exitCode, text: stdout() };
}

describe('pgbackup local restore --list', () => {
  it('shows backups and other files, newest first, and what they look like', async () => {
    await layBackup('nightly-20260101t030000z', 0);
    await layBackup('nightly-20260101t031000z', 10);
    const cut = await layBackup('nightly-20260101t032000z', 20, 'shop');
    await writeFile(join(folder, cut), 'byte');
    await lay('.pgbackup-probe', 'x');
    await lay('default/nightly/nightly-20260101t040000z/0a1b2c3d/half.dump.zst', 'no manifest, no backup');
    await lay('dumps/old.dump', Buffer.concat([Buffer.from('PGDMP'), Buffer.alloc(100)]), 1);
    await lay('dumps/new one.zip', Buffer.from('PK\u0003\u0004 and more'), 2);
    await lay('nothing.sql', '', 3);
    const { exitCode, text } = await list();
    expect(exitCode).toBe(0);
    expect(text.split('\n').map((line) => line.replace(/  +/g, '  ').trim())).toEqual([
      `disk  file://${folder}`,
      'BACKUP  POLICY  STARTED  DUMPED  STORED  SERVER  COPY  DATABASES',
      'shop/nightly-20260101t032000z  nightly  2026-01-01T03:20:00Z  2.00 kB  1.00 kB  PostgreSQL 17  INCOMPLETE  shop, blog (failed)',
      'nightly-20260101t031000z  nightly  2026-01-01T03:10:00Z  2.00 kB  1.00 kB  PostgreSQL 17  complete  shop, blog (failed)',
      'nightly-20260101t030000z  nightly  2026-01-01T03:00:00Z  2.00 kB  1.00 kB  PostgreSQL 17  complete  shop, blog (failed)',
      'FILE  CHANGED  SIZE  CONTENT',
      expect.stringMatching(/^nothing.sql  2026-01-01T03:03:00Z  0 B  FileIncomplete: empty/),
      expect.stringMatching(/^dumps\/new one\.zip  2026-01-01T03:02:00Z  13 B  .*ZIP/i),
      expect.stringMatching(/^dumps\/old\.dump  2026-01-01T03:01:00Z  105 B  .*custom/i),
      '',
    ]);
  });

  it('says it as JSON for programs, with how many more there are', async () => {
    for (const minute of [1, 2, 3]) {
      await layBackup(`nightly-2026010${minute}t030000z`, minute);
      await lay(`${minute}.dump`, 'PGDMP', minute);
    }
    await lay('default/nightly/nightly-20260104t030000z/manifest.json', 'no JSON', 4);
    const { text } = await list({ output: 'json', limit: 2 });
    expect(JSON.parse(text)).toMatchObject({
      locations: [
        {
          location: 'disk',
          namespace: 'default',
          backups: [{ id: 'nightly-20260103t030000z', databases: ['shop'], failed: ['blog'], complete: true }],
          moreBackups: 2,
          files: [{ key: '3.dump', bytes: 5, modifiedAt: '2026-01-01T03:03:00.000Z' }, { key: '2.dump' }],
          moreFiles: 1,
          damaged: [{ key: 'default/nightly/nightly-20260104t030000z/manifest.json' }],
        },
      ],
    });
  });

  it('says why a location cannot be listed and what to do, and ends with the code of the reason', async () => {
    const { exitCode, text } = await list({}, join(folder, 'missing'));
    expect(exitCode).not.toBe(0);
    expect(text).toMatch(/^disk .*\n  StorageMissing: .*\n  remedy: .+\n$/);
    expect(JSON.parse((await list({ output: 'json' }, join(folder, 'missing'))).text)).toMatchObject({
      locations: [{ error: { reason: 'StorageMissing' } }],
    });
  });

  it('says that there is nothing, and knows a location that is not in the files', async () => {
    expect((await list()).text).toBe(`disk  file://${folder}\n  nothing\n`);
    await expect(list({}, folder, 'disc')).rejects.toMatchObject({ reason: 'LocationMissing', hint: 'they have disk' });
  });
});
