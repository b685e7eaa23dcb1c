import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import type { Archive, LoadOptions } from '../../src/postgres/load-types.ts';
import { programPath } from '../../src/postgres/programs.ts';
import { inPieces } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
// The oldest and the newest: those between behave like one of them.
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);
const formats = ['custom', 'tar', 'directory', 'plain'] as const;
type Format = (typeof formats)[number];

/** What of a source's public schema must come out as it was. */
const sources = {
  'as every database has it': '',
  'with another owner, other grants and another comment': `
    ALTER SCHEMA public OWNER TO alice; REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO bob; COMMENT ON SCHEMA public IS 'ours'`,
};

describe.skipIf(ends.length === 0).each(ends)('a dump of the schema public alone, on a server of %s', (binDir) => {
  let stand: LoadStand;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.at.postgres.sql('CREATE ROLE alice; CREATE ROLE bob');
  });
  afterAll(() => stand?.at.remove());

  const look = async (database: string) =>
    stand.at.postgres.sql(
      `SELECT nspowner::regrole::text AS owner, obj_description(oid, 'pg_namespace') AS comment,
              (SELECT array_agg(a::text ORDER BY 1) FROM aclexplode(nspacl) AS a)::text AS acl,
              (SELECT string_agg(i::text, ' ') FROM public.t) AS rows
         FROM pg_namespace WHERE nspname = 'public'`,
      database,
    );
  const dump = async (format: Format): Promise<string> => {
    const { programs } = await stand.at.tools();
    const path = join(await stand.at.folder(), 'dump');
    const args = ['--schema=public', `--format=${format}`, `--file=${path}`];
    await run(programPath(programs, 'pg_dump'), args, { env: { ...stand.tools.environment, PGDATABASE: 'narrow' } });
    return path;
  };
  const load = async (format: Format, path: string, changes: Partial<LoadOptions> = {}): Promise<readonly string[]> => {
    const options = loadOptions('back', changes);
    if (format === 'plain') {
      const content = await readFile(path);
      const open = () => inPieces(content, 1000);
      const tools = { server: stand.at.server, serverMajor: stand.major };
      return (await loadScript(tools, open, { ...options, part: 'whole' }, never)).notes;
    }
    const archive: Archive = { kind: 'path', format, path };
    return (await loadArchive(stand.tools, archive, options, never)).notes;
  };

  describe.each(Object.entries(sources))('%s', (_what, change) => {
    let wanted: unknown;
    beforeAll(async () => {
      await stand.fresh('narrow');
      await stand.at.postgres.sql(`CREATE TABLE t (i int); INSERT INTO t VALUES (1); ${change}`, 'narrow');
      wanted = await look('narrow');
    });

    test.each(formats)(
      'comes back from %s, into a new database, in one transaction, and over itself',
      async (format) => {
        const path = await dump(format);
        await stand.fresh('back');
        const notes = await load(format, path, { freshDatabase: true });
        expect(notes).toEqual(format === 'plain' ? ['CREATE SCHEMA public left out: the database has it'] : []);
        expect(await look('back')).toEqual(wanted);

        await stand.fresh('back');
        await load(format, path, { singleTransaction: true });
        expect(await look('back')).toEqual(wanted);

        if (format === 'plain') return;
        // What is beside it stays: of public only what the archive holds is dropped.
        await stand.at.postgres.sql('CREATE TABLE other (i int); DELETE FROM t', 'back');
        await load(format, path, { singleTransaction: true, clean: true });
        expect(await look('back')).toEqual(wanted);
        expect(await stand.at.postgres.sql('SELECT count(*)::int AS n FROM other', 'back')).toEqual([{ n: 0 }]);
      },
    );

    test('comes back by several connections from a stream', async () => {
      const content = await readFile(await dump('custom'));
      await stand.fresh('back');
      const options = loadOptions('back', { freshDatabase: true, jobs: 2 });
      expect((await loadArchive(stand.tools, streamOf(content), options, never)).notes).toEqual([]);
      expect(await look('back')).toEqual(wanted);
    });

    test('comes back where there is no such schema', async () => {
      const path = await dump('custom');
      await stand.fresh('back');
      await stand.at.postgres.sql('DROP SCHEMA public', 'back');
      await load('custom', path, { singleTransaction: true });
      expect(await stand.at.postgres.sql('SELECT i FROM public.t', 'back')).toEqual([{ i: 1 }]);
    });
  });
});
