import { execFile } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import type { Archive } from '../../src/postgres/load-types.ts';
import { programPath } from '../../src/postgres/programs.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);
const schema = `it's "odd" é \\`;
const quoted = `"${schema.replaceAll('"', '""')}"`;

const source = `
  CREATE SCHEMA ${quoted}; CREATE FUNCTION ${quoted}.helper(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
  SET search_path = public, ${quoted};
  CREATE FUNCTION fold(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN helper($1); END';
  CREATE TABLE t (name text, low text GENERATED ALWAYS AS (fold(name)) STORED);
  INSERT INTO t SELECT 'N' || i FROM generate_series(1, 3000) i;`;

describe.skipIf(ends.length === 0).each(ends)('a search_path for the load, on a server of %s', (binDir) => {
  let stand: LoadStand;
  let custom: Buffer;
  const made: Record<string, string> = {};
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.fresh('source');
    await stand.at.postgres.sql(source, 'source');
    custom = await stand.dump('source');
    const { programs } = await stand.at.tools();
    const folder = await mkdtemp(join(await stand.at.folder(), 'dumps-'));
    const env = { ...stand.tools.environment, PGDATABASE: 'source' };
    for (const format of ['plain', 'tar', 'directory', 'custom']) {
      const path = join(folder, format);
      await run(programPath(programs, 'pg_dump'), [`--format=${format}`, `--file=${path}`], { env });
      made[format] = path;
    }
  });
  afterAll(() => stand?.at.remove());
  beforeEach(async () => stand.fresh('back'));

  const check = async (): Promise<void> => {
    const [row] = await stand.at.postgres.sql(`SELECT count(*)::int AS n, max(low) AS low FROM t`, 'back');
    expect(row).toEqual({ n: 3000, low: 'n999' });
  };
  const searchPath = ['public', schema];

  test.each([
    ['a stream, two connections', () => streamOf(custom), 2, false],
    ['a stream, one connection', () => streamOf(custom), 1, false],
    ['one transaction', () => streamOf(custom), 1, true],
    ['a file', () => ({ kind: 'path', format: 'custom', path: made['custom'] }) as Archive, 2, false],
    ['a folder', () => ({ kind: 'path', format: 'directory', path: made['directory'] }) as Archive, 2, false],
    ['a tar', () => ({ kind: 'path', format: 'tar', path: made['tar'] }) as Archive, 2, false],
  ] as const)('%s', async (_, archive, jobs, singleTransaction) => {
    await loadArchive(stand.tools, archive(), loadOptions('back', { searchPath, jobs, singleTransaction }), never);
    await check();
  });

  test('a script; and without it no function finds another', async () => {
    const script = await readFile(made['plain'] ?? '');
    const tools = { server: stand.at.server, serverMajor: stand.major };
    const load = async (path: readonly string[] | undefined) => {
      const options = { ...loadOptions('back', { searchPath: path, singleTransaction: true }), part: 'whole' as const };
      return loadScript(tools, () => inPieces(script, 1000), options, never);
    };
    expect(await rejection(load(undefined))).toMatchObject({ reason: 'RestoreFailed' });
    await load(searchPath);
    await check();
  });
});
