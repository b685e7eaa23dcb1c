import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leavableKinds, type LeavableKind } from '../../src/api/restore-options.ts';
import { connectClient } from '../../src/postgres/connection.ts';
import { loadArchive } from '../../src/postgres/load-archive.ts';
import { loadScript } from '../../src/postgres/load-script.ts';
import { readContents } from '../../src/postgres/read-contents.ts';
import { hasLabelProvider, mayDo } from '../../src/postgres/try-powers.ts';
import { checkPowers } from '../../src/runner/restore/plan/check-powers.ts';
import { inPieces, rejection } from '../pipeline/streams.ts';
import { listBinDirs } from '../servers/postgres.ts';
import { loadOptions, openLoadStand, streamOf, type LoadStand } from './load-stand.ts';

const never = new AbortController().signal;
const binDirs = await listBinDirs(process.env['POSTGRES_BINDIRS']);
const ends = [...new Set([binDirs[0], binDirs.at(-1)])].filter((binDir) => binDir !== undefined);

const source = `
  CREATE EXTENSION citext; COMMENT ON EXTENSION plpgsql IS 'mine';
  CREATE TABLE t (i int, c text); COMMENT ON TABLE t IS 'said'; INSERT INTO t VALUES (1, 'x');
  ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (true); COMMENT ON POLICY p ON t IS 'said';
  CREATE PUBLICATION pub FOR ALL TABLES; COMMENT ON PUBLICATION pub IS 'said'; CREATE PUBLICATION one FOR TABLE t;
  CREATE SUBSCRIPTION sub CONNECTION 'dbname=x password=x' PUBLICATION x WITH (connect = false, slot_name = NONE);
  CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
  CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION f(); COMMENT ON EVENT TRIGGER et IS 'said';
  SELECT lo_from_bytea(0, convert_to('large ' || i, 'UTF8')) FROM generate_series(1, 5) i;
  DO $$ DECLARE l oid; BEGIN FOR l IN SELECT oid FROM pg_largeobject_metadata LOOP
    EXECUTE format('COMMENT ON LARGE OBJECT %s IS ''said''', l); END LOOP; END $$;`;

const everything = {
  comments: 9,
  eventTriggers: 1,
  extensions: 1,
  policies: 2,
  publications: 2,
  securityLabels: 0,
  subscriptions: 1,
  rows: 1,
  large: 5,
};

describe.skipIf(ends.length === 0).each(ends)('what is left out by its kind, on a server of %s', (binDir) => {
  let stand: LoadStand;
  let archive: Buffer;
  let script: Buffer;
  beforeAll(async () => {
    stand = await openLoadStand(binDir, binDirs);
    await stand.fresh('source');
    await stand.at.postgres.sql(source, 'source');
    archive = await stand.dump('source');
    script = await stand.script('source');
    await stand.at.postgres.sql('DROP SUBSCRIPTION sub', 'source');
    await stand.at.postgres.sql(`CREATE ROLE common LOGIN PASSWORD 'pw' CREATEDB`);
    await stand.at.postgres.sql('CREATE DATABASE commons OWNER common');
  });
  afterAll(() => stand?.at.remove());

  const look = async () =>
    (
      await stand.at.postgres.sql(
        `SELECT (SELECT count(*) FROM pg_description WHERE description = 'said')::int
                  + (SELECT count(*) FROM pg_description WHERE description = 'mine')::int AS comments,
                (SELECT count(*) FROM pg_event_trigger)::int AS "eventTriggers",
                (SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql')::int AS extensions,
                (SELECT count(*) FROM pg_policy)::int + (SELECT count(*) FROM pg_class WHERE relrowsecurity)::int AS policies,
                (SELECT count(*) FROM pg_publication)::int AS publications,
                (SELECT count(*) FROM pg_seclabel)::int AS "securityLabels",
                (SELECT count(*) FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid AND datname = 'back')::int AS subscriptions,
                (SELECT count(*) FROM t)::int AS rows, (SELECT count(*) FROM pg_largeobject_metadata)::int AS large`,
        'back',
      )
    )[0];
  const fresh = async (): Promise<void> => {
    await stand.at.postgres
      .sql('ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub', 'back')
      .catch(() => {});
    await stand.fresh('back');
  };
  const load = async (kind: 'archive' | 'script', without: readonly LeavableKind[] | undefined, isOne: boolean) => {
    await fresh();
    const options = loadOptions('back', { without, singleTransaction: isOne, jobs: isOne ? 1 : 2 });
    if (kind === 'archive') return (await loadArchive(stand.tools, streamOf(archive), options, never)).notes;
    const tools = { server: stand.at.server, serverMajor: stand.major };
    return (await loadScript(tools, () => inPieces(script, 999), { ...options, part: 'whole' }, never)).notes;
  };

  test.each(['archive', 'script'] as const)('%s: each kind alone, and all of them', async (kind) => {
    // pg_dump writes no comment of an extension that a server has from the beginning.
    const whole = await load(kind, undefined, true).then(look);
    expect(whole).toMatchObject({ ...everything, comments: expect.any(Number) });
    for (const without of leavableKinds) {
      const notes = await load(kind, [without], without !== 'comments');
      const seen = await look();
      const expected = { ...whole, ...(without === 'tablespaces' ? {} : { [without]: 0 }) };
      if (without === 'comments') expect(seen).toEqual(expected);
      else expect({ ...seen, comments: 0 }).toEqual({ ...expected, comments: 0 });
      const isTold = without !== 'tablespaces' && without !== 'securityLabels';
      expect(notes.some((note) => note.startsWith(`left out, as options.without says: ${without} (`))).toBe(isTold);
    }
    await load(kind, leavableKinds, true);
    expect(await look()).toEqual({
      comments: 0,
      eventTriggers: 0,
      extensions: 0,
      policies: 0,
      publications: 0,
      securityLabels: 0,
      subscriptions: 0,
      rows: 1,
      large: 5,
    });
  });

  test('a common user is told before the load what he may not do, and what helps', async () => {
    const { entries } = await readContents(stand.tools, streamOf(archive), never);
    const server = { ...stand.at.server, user: 'common', password: 'pw' };
    const session = await connectClient(server, 'commons', { timeoutMs: 10_000 }, never);
    const check = async (of: (type: string, name: string) => boolean): Promise<void> =>
      checkAll(entries.filter(({ type, name }) => of(type, name)));
    const checkAll = async (some: typeof entries): Promise<void> =>
      checkPowers(
        [{ plan: { index: 0, target: 'commons', loadInto: 'x' }, entries: some }],
        {
          mode: 'InPlace',
          select: { schemaOnly: false, dataOnly: false },
          options: { noOwner: false, noPrivileges: false, globals: false },
        },
        { session, connect: (name, until) => connectClient(server, name, { timeoutMs: 10_000 }, until) },
        never,
      );
    try {
      expect(await rejection(check((type) => type === 'EVENT TRIGGER'))).toMatchObject({
        reason: 'PermissionDenied',
        message: 'the user "common" may not create event triggers: "et"',
        hint: 'restore as a superuser, or set options.without: [eventTriggers]',
      });
      expect(await rejection(check((type) => type === 'PUBLICATION'))).toMatchObject({
        message: expect.stringContaining('"pub"') as string,
        hint: expect.stringContaining('[publications]') as string,
      });
      await check((type, name) => type === 'PUBLICATION' && name === 'one');
      // As pg_dump wrote it before 11.
      const table = entries.find(({ type }) => type === 'TABLE');
      const comments = table === undefined ? [] : [{ ...table, type: 'COMMENT', name: 'EXTENSION plpgsql' }];
      expect(await rejection(checkAll(comments))).toMatchObject({
        hint: expect.stringContaining('[comments]') as string,
      });
      expect(await mayDo(session, 'subscriptions')).toBe(false);
      expect(await hasLabelProvider(session, 'no"such')).toBe(false);
    } finally {
      await session.close();
    }
    const admin = await connectClient(stand.at.server, 'commons', { timeoutMs: 10_000 }, never);
    try {
      for (const power of ['eventTriggers', 'publications', 'subscriptions'] as const) {
        expect(await mayDo(admin, power)).toBe(true);
      }
      expect(await admin.query('SELECT 1 AS n FROM pg_event_trigger UNION ALL SELECT 1 FROM pg_publication')).toEqual(
        [],
      );
    } finally {
      await admin.close();
    }
  });
});
