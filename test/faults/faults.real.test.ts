import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { resources } from '../../src/controller/resources.ts';
import {
  backupNamed,
  namespace,
  never,
  sftpServerProgram,
  startFaultStand,
  until,
  type FaultStand,
} from './fault-stand.ts';
import { runCase, type CaseOutcome } from './run-case.ts';
import { listFiles } from './places.ts';
import { readEarlier, seedEarlier, type EarlierBackup } from './seed-earlier.ts';
import { faultTable } from './table.ts';
import { forgetReferences, verifyCopy } from './verify-copies.ts';

const versitygw = process.env['VERSITYGW'];
const isRoot = process.getuid?.() === 0;
/** Whole runs at once: most of a case is waiting. */
const atOnce = 7;

/** Not like its policy, whose name is another one in each copy. */
const earlierDatabase = 'rows';

let stand: FaultStand;
let earlier: EarlierBackup;
const outcomes = new Map<string, CaseOutcome | { readonly outcome: 'FAILED' }>();
let startedAt = 0;

describe('a whole run that meets a fault', () => {
  beforeAll(async () => {
    if (versitygw === undefined) return;
    startedAt = performance.now();
    stand = await startFaultStand(versitygw);
    await stand.makeDatabase('big', 'big');
    earlier = await makeEarlier();
  });
  afterAll(async () => {
    await stand?.stop();
    if (outcomes.size > 0) printTotals();
  });

  test('a flipped bit, a lost byte or a missing volume under a manifest is counted', async (context: TestContext) => {
    if (versitygw === undefined)
      context.skip('VERSITYGW is not set: a server that checks signatures and sums is needed');
    const policy = 'damaged';
    const place = await stand.makeFolder(policy);
    const restore = (): Promise<void> => seedEarlier(earlier, place, namespace, policy);
    await restore();
    const files = [...(await listFiles(place.root, `${namespace}/${policy}`)).keys()];
    const key = files.find((path) => path.endsWith('manifest.json')) ?? '';
    const volume = join(place.root, files.find((path) => path.includes('.dump')) ?? '');
    expect(await verifyCopy(place.root, key, stand.server)).toMatchObject({ differing: 0, problems: [] });
    const damages = [
      async () => {
        const bytes = await readFile(volume);
        bytes[1000] = (bytes[1000] ?? 0) ^ 1;
        await writeFile(volume, bytes);
      },
      async () => writeFile(volume, (await readFile(volume)).subarray(0, -1)),
      () => rm(volume),
      // Whole and as the manifest says, but not what the database holds now.
      async () => void (await stand.server.sql('DELETE FROM orders WHERE id = 7', earlierDatabase)),
    ];
    for (const damage of damages) {
      await restore();
      forgetReferences();
      await damage();
      const { differing, problems } = await verifyCopy(place.root, key, stand.server);
      expect(problems).toHaveLength(1);
      expect(differing).toBeGreaterThan(0);
    }
  });

  const turns = makeTurns(atOnce);
  for (const faultCase of faultTable) {
    const { name, room } = faultCase;
    test.concurrent(`${room}: ${name}`, { timeout: 900_000 }, async (context: TestContext) => {
      if (versitygw === undefined)
        context.skip('VERSITYGW is not set: a server that checks signatures and sums is needed');
      if (faultCase.needsRoot === true && !isRoot) context.skip('only root may mount a file system');
      if ((room === 'sftp' || room === 'fan-out') && !existsSync(sftpServerProgram))
        context.skip(`there is no ${sftpServerProgram}`);
      await turns(async () => {
        outcomes.set(name, { outcome: 'FAILED' });
        const outcome = await runCase(stand, faultCase, earlier);
        outcomes.set(name, outcome);
        expect(outcome.differingBytes, 'bytes under a committed manifest that differ').toBe(0);
      });
    });
  }
});

/** One real backup, of which every case gets a copy as its earlier one. */
async function makeEarlier(): Promise<EarlierBackup> {
  const policy = 'earlier-template';
  await stand.makeDatabase(earlierDatabase, 'small');
  const place = await stand.makeFolder(policy);
  const proxy = await stand.postgresProxy();
  const spec = {
    source: {
      postgres: {
        host: proxy.host,
        port: proxy.port,
        tls: { mode: 'disable' },
        credentials: { secretName: 'admin' },
        databases: { names: [earlierDatabase] },
      },
    },
    destinations: [{ location: place.location }],
  };
  const { client } = stand.operator;
  const meta = (name: string) => ({ apiVersion: 'pgbackup.dev/v1', metadata: { name, namespace } });
  await client.create(resources.policy, { ...meta(policy), kind: 'BackupPolicy', spec }, never);
  const name = `${policy}-first`;
  await client.create(resources.backup, { ...meta(name), kind: 'Backup', spec: { policy } }, never);
  await until('the first backup', () => backupNamed(stand.operator, name)?.status?.phase === 'Succeeded');
  return readEarlier(place.root, namespace, policy);
}

/** Lets so many work at once, in the order in which they came. */
function makeTurns(limit: number): (work: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = [];
  let working = 0;
  return async (work) => {
    if (working >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else working += 1;
    try {
      await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) working -= 1;
      else next();
    }
  };
}

function printTotals(): void {
  const rows = faultTable.flatMap(({ room, name }) => {
    const outcome = outcomes.get(name);
    return outcome === undefined ? [] : [{ room, name, ...outcome }];
  });
  const sum = (key: 'committedBytes' | 'differingBytes'): number =>
    rows.reduce((total, row) => total + (key in row ? row[key as never] : 0), 0);
  const passed = rows.filter(({ outcome }) => outcome !== 'FAILED').length;
  const lines = rows.map(({ room, name, outcome }) => `${room.padEnd(10)} ${name.padEnd(40)} ${outcome}`);
  const megabytes = Math.round(sum('committedBytes') / 1e6);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  lines.push(
    `${rows.length} cases, ${passed} passed, ${sum('differingBytes')} differing bytes (of ${megabytes} MB committed, ${seconds} s)`,
  );
  console.log(lines.join('\n'));
}
