import { existsSync } from 'node:fs';
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
import { readEarlier, type EarlierBackup } from './seed-earlier.ts';
import { faultTable } from './table.ts';

const versitygw = process.env['VERSITYGW'];
const isRoot = process.getuid?.() === 0;
/** Whole runs at once: most of a case is waiting. */
const atOnce = 7;

let stand: FaultStand;
let earlier: EarlierBackup;
const outcomes = new Map<string, CaseOutcome | { readonly outcome: 'FAILED' }>();
let startedAt = 0;

describe.skipIf(versitygw === undefined)(
  'a whole run that meets a fault (needs VERSITYGW: a server that checks signatures)',
  () => {
    beforeAll(async () => {
      startedAt = performance.now();
      stand = await startFaultStand(versitygw ?? '');
      earlier = await makeEarlier();
    });
    afterAll(async () => {
      await stand?.stop();
      printTotals();
    });

    const turns = makeTurns(atOnce);
    for (const faultCase of faultTable) {
      const { name, room } = faultCase;
      test.concurrent(`${room}: ${name}`, { timeout: 300_000 }, async (context: TestContext) => {
        if (faultCase.needsRoot === true && !isRoot) context.skip('only root may mount a file system');
        if (room === 'sftp' && !existsSync(sftpServerProgram)) context.skip(`there is no ${sftpServerProgram}`);
        await turns(async () => {
          outcomes.set(name, { outcome: 'FAILED' });
          const outcome = await runCase(stand, faultCase, earlier);
          outcomes.set(name, outcome);
          expect(outcome.differingBytes, 'bytes under a committed manifest that differ').toBe(0);
        });
      });
    }
  },
);

/** One real backup, of which every case gets a copy as its earlier one. */
async function makeEarlier(): Promise<EarlierBackup> {
  const policy = 'earlier-template';
  await stand.makeDatabase(policy, 'small');
  const place = await stand.makeFolder(policy);
  const proxy = await stand.postgresProxy();
  const spec = {
    source: {
      postgres: {
        host: proxy.host,
        port: proxy.port,
        tls: { mode: 'disable' },
        credentials: { secretName: 'admin' },
        databases: { names: [policy] },
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
