import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { resources } from '../../src/controller/resources.ts';
import type { Backup, BackupPolicy } from '../../src/api/kinds.ts';
import { compactTime } from '../../src/domain/names.ts';
import { loadObjects } from '../../src/local/load.ts';
import { startLocalOperator, type LocalOperator } from '../../src/local/operator.ts';
import { isInspected } from '../../src/local/run-once.ts';
import { systemClock, systemRandom, type Clock } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { never, until } from './executor-world.ts';
import { findBackups } from './found-backups.ts';
import { startLocalStand, type LocalStand } from './local-stand.ts';
import { compileCache } from '../compile-cache.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

let stand: LocalStand;
beforeAll(async () => {
  stand = await startLocalStand();
});
afterAll(async () => stand.stop());

/** A slot within the next two minutes, each hour; and a clock that is so many milliseconds away from it now. */
const slotMs = Math.ceil(Date.now() / minuteMs) * minuteMs + minuteMs;
const clockAt = (fromSlotMs: number): Clock => {
  const offsetMs = slotMs + fromSlotMs - Date.now();
  return { ...systemClock, nowMs: () => Date.now() + offsetMs };
};
const nameOfSlot = (atMs: number): string => `nightly-${compactTime(atMs)}`;
const stampOf = (atMs: number): string => new Date(atMs).toISOString().replace('.000', '');

async function open(clock: Clock): Promise<LocalOperator> {
  const minute = new Date(slotMs).getUTCMinutes();
  const yaml = stand.yaml(`  schedule: "${minute} * * * *"\n`);
  const { objects, errors } = loadObjects([{ name: 'all', text: yaml }], '/');
  expect(errors).toEqual([]);
  return startLocalOperator(objects, {
    stateDir: join(stand.folder, randomUUID().slice(0, 8)),
    platform: 'linux',
    command: [process.execPath, main],
    env: { ...compileCache, PATH: '/usr/bin:/bin', PGBACKUP_PROGRAMS: stand.server.binDir },
    clock,
    random: systemRandom,
    log: silentLog,
    hostName: 'test',
  });
}

const policyOf = async (operator: LocalOperator) =>
  (await operator.client.get(resources.policy, 'default', 'nightly', never)) as unknown as BackupPolicy;
const conditionOf = (backup: Backup | undefined) =>
  backup?.status?.conditions?.find(({ type }) => type === 'Succeeded');
/** The next slot stands in the status: everything that was due is decided. */
const untilPlanned = async (operator: LocalOperator, nextMs: number) =>
  until(
    'the next slot is known',
    async () => {
      const { status } = await policyOf(operator);
      return operator.locations().every(isInspected) && status?.nextScheduleTime === stampOf(nextMs) && status;
    },
    40,
  );

it('keeps a schedule, knows its backups after a restart, repeats none, and catches up once', async () => {
  const first = await open(clockAt(-4_000));
  try {
    await until(
      'a scheduled backup',
      async () =>
        conditionOf(first.backups().find(({ metadata }) => metadata.name === nameOfSlot(slotMs)))?.status === 'True',
      60,
    );
  } finally {
    await first.stop();
  }
  const [stored] = findBackups(stand.disk);
  expect(findBackups(stand.disk)).toHaveLength(1);
  expect(stored).toMatchObject({ id: nameOfSlot(slotMs), slot: stampOf(slotMs) });

  const second = await open(clockAt(10 * minuteMs));
  try {
    const status = await untilPlanned(second, slotMs + hourMs);
    const [found, ...others] = second.backups();
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      metadata: { name: nameOfSlot(slotMs), uid: stored?.uid },
      spec: { policy: 'nightly', slot: stampOf(slotMs), import: { location: 'disk', key: stored?.key } },
      status: { phase: 'Succeeded', databases: { stored: ['shop'] } },
    });
    expect(status.missedRuns ?? 0).toBe(0);
  } finally {
    await second.stop();
  }
  expect(findBackups(stand.disk)).toEqual([stored]);

  // Three slots went by while nobody was there: the latest is made up for, the others are counted as missed.
  const third = await open(clockAt(3 * hourMs + 10 * minuteMs));
  try {
    await until(
      'the late backup',
      async () =>
        conditionOf(third.backups().find(({ metadata }) => metadata.name === nameOfSlot(slotMs + 3 * hourMs)))
          ?.status === 'True',
      60,
    );
    expect((await untilPlanned(third, slotMs + 4 * hourMs)).missedRuns).toBe(2);
  } finally {
    await third.stop();
  }
  expect(findBackups(stand.disk).map(({ id }) => id)).toEqual([nameOfSlot(slotMs), nameOfSlot(slotMs + 3 * hourMs)]);
});
