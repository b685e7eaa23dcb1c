import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestDatabase } from './compare-databases.ts';
import { fetchFromBucket, findManifest, listVolumes, sha256Of } from './fetch-copy.ts';
import { runProgram } from './run-program.ts';
import { megabytes, type Screen } from './screen.ts';
import { showSame } from './show-same.ts';
import type { Servers } from './start-servers.ts';

/** Shows that what was stored is the backup, and that it takes none of our programs to get it back. @throws Error with the first thing that does not hold */
export async function prove(servers: Servers, folder: string, screen: Screen, signal: AbortSignal): Promise<void> {
  const fetched = join(folder, 'fetched');
  const { key, manifest } = await findManifest(servers.disk);
  const volumes = listVolumes(manifest);

  await screen.step('fetched from the bucket with the AWS SDK', async () => {
    await fetchFromBucket(servers, [key, ...volumes.map((volume) => volume.key)], fetched);
    const bytes = volumes.reduce((sum, volume) => sum + volume.bytes, 0);
    return { value: undefined, detail: `${volumes.length} objects, ${megabytes(bytes)}` };
  });

  await screen.step('three equal copies', async () => {
    const places = [fetched, servers.sftpFolder, servers.disk];
    const manifests = await Promise.all(places.map(async (place) => readFile(join(place, key), 'utf8')));
    if (new Set(manifests).size !== 1) throw new Error('the manifests differ');
    for (const volume of volumes) {
      for (const place of places) {
        const sha256 = await sha256Of(join(place, volume.key));
        if (sha256 !== volume.sha256) throw new Error(`${join(place, volume.key)} is not what its manifest says`);
      }
    }
    return { value: undefined, detail: 'bucket, SFTP and disk hold what the manifest says (SHA-256)' };
  });

  const roles = await screen.step('globals', async () => {
    const sql = await pipeShell(servers, fetched, volumesOf(manifest.globals), 'zstd -dc', signal);
    const found = [...sql.matchAll(/^CREATE ROLE (\S+);$/gm)].map(([, role]) => role);
    return { value: found, detail: `roles ${found.join(', ')}` };
  });
  for (const role of ['shop_owner', 'shop_app', 'reporting']) {
    if (!roles.includes(role)) throw new Error(`the globals do not have the role ${role}`);
  }

  await screen.step('cat blog.dump.zst | zstd -d | pg_restore -d blog_restored', async () => {
    await servers.postgres.sql('CREATE DATABASE blog_restored');
    const stored = manifest.databases.find(({ name }) => name === 'blog');
    const load = 'zstd -dc | "$PG_RESTORE" --exit-on-error -d blog_restored';
    await pipeShell(servers, fetched, volumesOf(stored?.artifacts[0]), load, signal);
    return { value: undefined };
  });
  showSame(
    await digestDatabase(servers.postgres, 'blog'),
    await digestDatabase(servers.postgres, 'blog_restored'),
    screen,
  );
}

/** `cat` of volumes into a shell pipe, with stock programs only; any of them failing fails it. */
async function pipeShell(
  { postgres }: Servers,
  folder: string,
  volumes: readonly string[],
  into: string,
  signal: AbortSignal,
): Promise<string> {
  if (volumes.length === 0) throw new Error('the manifest names no volumes for it');
  return runProgram('bash', ['-o', 'pipefail', '-c', `cat "$@" | ${into}`, 'bash', ...volumes], signal, {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      PG_RESTORE: join(postgres.binDir, 'pg_restore'),
      PGHOST: postgres.socketDir,
      PGPORT: String(postgres.port),
      PGUSER: postgres.user,
      PGPASSWORD: postgres.password,
    },
  });
}

const volumesOf = (
  artifact: { readonly volumes: readonly { readonly key: string }[] } | undefined,
): readonly string[] => artifact?.volumes.map(({ key }) => key) ?? [];
