import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient } from '../../src/postgres/connection.ts';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import type { LoadOptions } from '../../src/postgres/load-types.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { checkTablespaces } from '../../src/runner/restore/plan/check-needs.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);

describe.skipIf(ends.length === 0).each(ends)('a dump with tablespaces, on a server of %s', (binDir) => {
  let stand: LoadStand;
  let archive: Buffer;
  let script: Buffer;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs, { allow_in_place_tablespaces: 'on' });
    const sql = async (text: string, database?: string) => stand.at.postgres.sql(text, database);
    for (const name of ['here', 'Fa st\'s ""é""']) await sql(`CREATE TABLESPACE "${name}" LOCATION ''`);
    await stand.fresh('source');
    await sql(
      `CREATE TABLE t (i int) TABLESPACE "Fa st's ""é"""; CREATE INDEX ti ON t (i) TABLESPACE "Fa st's ""é""";
       CREATE TABLE other (i int) TABLESPACE here; INSERT INTO t VALUES (1)`,
      'source',
    );
    archive = await stand.dump('source');
    script = await stand.script('source');
    await sql('DROP DATABASE source');
    await sql(`DROP TABLESPACE "Fa st's ""é"""`);
  });
  afterAll(() => stand?.at.remove());

  const load = async (changes: Partial<LoadOptions>): Promise<readonly string[]> => {
    await stand.fresh('back');
    const options = { ...loadOptions('back', changes), part: 'whole' as const };
    const tools = { server: stand.at.server, serverMajor: stand.major };
    return (await loadScript(tools, () => inPieces(script, 1000), options, never)).notes;
  };
  const places = async () =>
    stand.at.postgres.sql(
      `SELECT relname AS name, coalesce(spcname, '') AS at FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = reltablespace
        WHERE relname IN ('t', 'ti', 'other') ORDER BY 1`,
      'back',
    );
  const check = async (changes: { without?: readonly 'tablespaces'[]; dataOnly?: boolean; type?: string }) => {
    const { entries } = await readContents(stand.tools, streamOf(archive), never);
    const selected = entries.filter(({ type }) => changes.type === undefined || type === changes.type);
    const connection = await connectClient(stand.at.server, 'postgres', { timeoutMs: 10_000 }, never);
    try {
      const options = { jobs: 1, noOwner: false, noPrivileges: false, globals: false };
      await checkTablespaces(
        [{ input: {}, entries: selected }],
        {
          mode: 'Create',
          options: { ...options, ...(changes.without === undefined ? {} : { without: [...changes.without] }) },
          select: { schemaOnly: false, dataOnly: changes.dataOnly === true },
        },
        connection,
      );
    } finally {
      await connection.close();
    }
  };

  test('is told before the load which ones the server lacks, of what is selected', async () => {
    expect(await rejection(check({}))).toMatchObject({
      reason: 'TablespaceMissing',
      message: `the tablespace "Fa st's "é"" does not exist on the server`,
    });
    await check({ without: ['tablespaces'] });
    await check({ dataOnly: true });
    await check({ type: 'SCHEMA' });
  });

  test.each([false, true])('leaves them out of an archive when told to (in one transaction: %s)', async (isOne) => {
    await stand.fresh('back');
    const options = loadOptions('back', { without: ['tablespaces'], singleTransaction: isOne });
    await loadArchive(stand.tools, streamOf(archive), options, never);
    expect(await places()).toEqual(['other', 't', 'ti'].map((name) => ({ name, at: '' })));
  });

  test.each([false, true])(
    'puts what a script has there into the default one, with a note (in one transaction: %s)',
    async (isOne) => {
      expect(await load({ singleTransaction: isOne })).toEqual([`in the default tablespace instead of "Fa st's "é""`]);
      expect(await places()).toEqual([
        { name: 'other', at: 'here' },
        { name: 't', at: '' },
        { name: 'ti', at: '' },
      ]);
      const notes = await load({ singleTransaction: isOne, without: ['tablespaces'] });
      expect(notes.join()).toContain('"here"');
      expect(await places()).toEqual(['other', 't', 'ti'].map((name) => ({ name, at: '' })));
    },
  );
});
