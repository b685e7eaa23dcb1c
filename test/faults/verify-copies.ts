import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseManifest, type Manifest, type ManifestArtifact } from '../../src/domain/manifest.ts';
import type { DatabaseServer } from './database-server.ts';
import { hashFiles } from './places.ts';

const run = promisify(execFile);

export interface VerifiedCopy {
  readonly manifest: Manifest;
  /** Bytes of what the manifest names. */
  readonly bytes: number;
  /** Bytes of artifacts that are not what the manifest says, or not what the database holds. */
  readonly differing: number;
  readonly problems: readonly string[];
}

/**
 * Reads a committed copy with stock programs only: hashes of each volume, of the dump, and the dump's SQL against the database's own.
 * `hashes`: SHA-256 of files that were read a moment ago, by key.
 */
export async function verifyCopy(
  root: string,
  key: string,
  server: DatabaseServer,
  hashes: ReadonlyMap<string, string> = new Map(),
): Promise<VerifiedCopy> {
  const manifest = parseManifest(key, await readFile(join(root, key), 'utf8'));
  const problems: string[] = [];
  let bytes = 0;
  let differing = 0;
  const check = async (name: string, artifact: ManifestArtifact, sql: (() => Promise<string>) | undefined) => {
    bytes += artifact.stored.bytes;
    const files = artifact.volumes.map((volume) => join(root, volume.key));
    const found: string[] = [];
    for (const [index, volume] of artifact.volumes.entries()) {
      const file = files[index] ?? '';
      if (!existsSync(file)) found.push(`${volume.key} is missing`);
      else if ((await stat(file)).size !== volume.bytes) found.push(`${volume.key} has another size`);
      else if ((hashes.get(volume.key) ?? (await hashFiles([file]))) !== volume.sha256)
        found.push(`${volume.key} has another hash`);
    }
    if (found.length === 0) {
      const [only] = artifact.volumes;
      // One file that is the dump as it is was hashed right above.
      const isDump = artifact.compression === 'none' && artifact.volumes.length === 1;
      const plain = isDump ? only?.sha256 : await shell(`${unpack(artifact)} | ${hash}`, files);
      if (plain !== artifact.plain.sha256) found.push(`${name}: the dump has another hash`);
    }
    if (found.length === 0 && sql !== undefined) {
      const ours = await sqlOf(artifact, () => shell(`${unpack(artifact)} | ${restore(server)} | ${hashSql}`, files));
      if (ours !== (await sql())) found.push(`${name}: the dump holds other SQL than the database`);
    }
    if (found.length > 0) differing += artifact.stored.bytes;
    problems.push(...found);
  };
  for (const database of manifest.databases) {
    if (database.outcome !== 'stored') continue;
    if (database.artifacts.length === 0) problems.push(`${database.name} is stored and has no artifact`);
    for (const artifact of database.artifacts) {
      await check(database.name, artifact, () => dumpReference(server, database.name));
    }
  }
  if (manifest.globals !== undefined) await check('globals', manifest.globals, undefined);
  return { manifest, bytes, differing, problems };
}

/** The SQL of dumps that were read, by the hash of the dump: what lies in three places is the same dump three times. */
const readDumps = new Map<string, Promise<string>>();

function sqlOf({ plain }: ManifestArtifact, read: () => Promise<string>): Promise<string> {
  const sql = readDumps.get(plain.sha256) ?? read();
  readDumps.set(plain.sha256, sql);
  return sql;
}

/** Databases that no case changes are asked once. */
const references = new Map<string, Promise<string>>();

/** A database was changed. */
export function forgetReferences(): void {
  references.clear();
}

/** What pg_dump says of the database now, as SQL, hashed. */
function dumpReference(server: DatabaseServer, database: string): Promise<string> {
  const key = `${server.port}/${database}`;
  const known = references.get(key) ?? askReference(server, database);
  references.set(key, known);
  return known;
}

async function askReference(server: DatabaseServer, database: string): Promise<string> {
  const { host, port, user, password, binDir } = server;
  const env = {
    PATH: process.env['PATH'],
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
  };
  return shell(`${join(binDir, 'pg_dump')} --format=custom --compress=0 | ${restore(server)} | ${hashSql}`, [], env);
}

const unpack = ({ compression }: ManifestArtifact): string =>
  ({ zstd: 'cat "$@" | zstd -q -d', gzip: 'cat "$@" | gzip -d', none: 'cat "$@"' })[compression];
const restore = ({ binDir }: DatabaseServer): string => `${join(binDir, 'pg_restore')} -f -`;
const hash = `openssl dgst -sha256 -r | cut -d ' ' -f 1`;
/** Without the random words that guard a script against psql's own commands. */
const hashSql = String.raw`LC_ALL=C grep -v -a -E '^\\(un)?restrict ' | openssl dgst -sha256 -r | cut -d ' ' -f 1`;

async function shell(script: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { stdout } = await run('bash', ['-c', `set -e -o pipefail; ${script}`, 'verify', ...args], { env });
  return stdout.trim();
}
