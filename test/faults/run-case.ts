import { join } from 'node:path';
import { expect } from 'vitest';
import type { Backup } from '../../src/api/kinds.ts';
import type { ControllerMetrics } from '../../src/controller/metrics/open-controller-metrics.ts';
import { resources } from '../../src/controller/resources.ts';
import type { LocalOperator } from '../../src/local/operator.ts';
import type { DatabaseServer } from './database-server.ts';
import { phaseOf, type Arranged, type Expected, type FaultCase } from './fault-case.ts';
import { namespace, never, removeFolder, type FaultStand } from './fault-stand.ts';
import { listFiles, type PlaceUse } from './places.ts';
import { largeDumpBytes } from './seed-databases.ts';
import { seedEarlier, type EarlierBackup } from './seed-earlier.ts';
import { verifyCopy } from './verify-copies.ts';
import { backupNamed, until, untilInspected } from './waiting.ts';

export interface CaseOutcome {
  readonly outcome: string;
  readonly committedBytes: number;
  readonly differingBytes: number;
}

type Tally = { committedBytes: number; differingBytes: number };
type Files = ReadonlyMap<string, string>;

/** One case from the policy to what the stores hold: a run that meets the fault, and the next one after it was lifted. */
export async function runCase(stand: FaultStand, faultCase: FaultCase, earlier: EarlierBackup): Promise<CaseOutcome> {
  const { name, expect: expected } = faultCase;
  const arranged = await faultCase.arrange(stand, name);
  const { operator, metrics } = arranged.impatient === true ? stand.impatient : stand;
  const { places } = arranged;
  const server = arranged.server ?? stand.server;
  const tally: Tally = { committedBytes: 0, differingBytes: 0 };
  await createPolicy(operator, name, arranged, stand.tls === undefined ? 'disable' : 'require');
  const inspected = places.map(({ location }) => location);
  await untilInspected(operator, inspected);
  for (const place of places) if (isAvailable(operator, place)) await seedEarlier(earlier, place, name);
  const before = await Promise.all(places.map((place) => listFiles(place.root, policyFolder(name))));

  await arranged.arm?.();
  const broken = await runBackup(operator, name, 'meets-fault', arranged);
  judgeStatus(broken, expected, places);
  expect(await (arranged.met?.() ?? true), 'the fault was met').toBe(true);
  for (const [index, place] of places.entries()) {
    await judgePlace(place, broken, before[index] ?? new Map(), index, expected, server, tally);
  }
  await arranged.afterwards?.();
  await judgeMetrics(metrics, name, broken.status?.phase ?? '', expected.succeeded === 'True' ? 1 : 0);

  await arranged.lift();
  const stores = await Promise.all(places.map((place) => listFiles(place.root, policyFolder(name))));
  const next = await runBackup(operator, name, 'comes-next', { ...arranged, during: undefined });
  const whole: Expected = { succeeded: 'True', reason: 'Succeeded', destinations: places.map(() => 'Stored') };
  judgeStatus(next, whole, places);
  for (const [index, place] of places.entries()) {
    await judgePlace(place, next, stores[index] ?? new Map(), index, { ...whole, remains: [] }, server, tally);
  }
  if (faultCase.dump === 'large') {
    expect(tally.committedBytes, 'dumps are long').toBeGreaterThan(largeDumpBytes * places.length);
  }
  await judgeMetrics(metrics, name, 'Succeeded', 1);
  for (const place of places) await removeFolder(join(place.root, policyFolder(name)));
  await arranged.postgres.stop();
  return { outcome: `${broken.status?.phase} ${expected.reason}`, ...tally };
}

const policyFolder = (policy: string): string => `${namespace}/${policy}/`;

function isAvailable(operator: LocalOperator, { location }: PlaceUse): boolean {
  const found = operator.locations().find(({ metadata }) => metadata.name === location);
  return found?.status?.conditions?.some(({ type, status }) => type === 'Available' && status === 'True') ?? false;
}

async function createPolicy(
  operator: LocalOperator,
  name: string,
  arranged: Arranged,
  tlsMode: 'disable' | 'require',
): Promise<void> {
  const { spec = {}, postgres, databases, login = 'admin', places } = arranged;
  const object = {
    apiVersion: 'pgbackup.dev/v1beta1',
    kind: 'BackupPolicy',
    metadata: { name, namespace },
    spec: {
      source: {
        postgres: {
          host: postgres.host,
          port: postgres.port,
          tls: { mode: tlsMode },
          credentials: { secretName: login },
          databases: spec.databases ?? { names: databases },
          ...(spec.maintenanceDatabase === undefined ? {} : { maintenanceDatabase: spec.maintenanceDatabase }),
        },
      },
      compression: { algorithm: 'none', ...spec.compression },
      dump: { globals: false, ...spec.dump },
      ...(spec.verification === undefined ? {} : { verification: spec.verification }),
      destinations: places.map(({ location, required }) => ({ location, required })),
      runner: { retries: 0, waitForServerSeconds: 4, ...spec.runner },
    },
  };
  await operator.client.create(resources.policy, object, never);
}

async function runBackup(operator: LocalOperator, policy: string, word: string, arranged: Arranged): Promise<Backup> {
  const name = `${policy}-${word}`;
  let isOver = false;
  await operator.client.create(
    resources.backup,
    { apiVersion: 'pgbackup.dev/v1beta1', kind: 'Backup', metadata: { name, namespace }, spec: { policy } },
    never,
  );
  const ended = until(`the end of ${name}`, () => {
    operator.broken.throwIfAborted();
    const found = backupNamed(operator, name);
    const { status } = found?.status?.conditions?.find(({ type }) => type === 'Succeeded') ?? {};
    return status === 'True' || status === 'False' ? found : undefined;
  }).finally(() => {
    isOver = true;
  });
  const [backup] = await Promise.all([ended, arranged.during?.({ backup: name, isOver: () => isOver })]);
  return backup;
}

function judgeStatus(backup: Backup, expected: Expected, places: readonly PlaceUse[]): void {
  const { status } = backup;
  const condition = status?.conditions?.find(({ type }) => type === 'Succeeded');
  const { conditions: _, job: _job, ...rest } = status ?? {};
  const shown = JSON.stringify({ condition, ...rest });
  expect({ status: condition?.status, reason: condition?.reason, phase: status?.phase }, shown).toEqual({
    status: expected.succeeded,
    reason: expected.reason,
    phase: phaseOf(expected),
  });
  expect(condition?.message, shown).not.toBe('');
  const told = places.map(({ location }) => {
    const destination = status?.destinations?.find((one) => one.location === location);
    return destination?.outcome === 'Stored' ? 'Stored' : destination?.reason;
  });
  // A runner that was killed says nothing of its places.
  if (expected.destinations.length > 0) expect(told, shown).toEqual(expected.destinations);
  if (expected.stored !== undefined) expect(status?.databases?.stored, shown).toEqual(expected.stored);
  if (expected.failed !== undefined) {
    const failed = Object.fromEntries((status?.databases?.failed ?? []).map(({ name, reason }) => [name, reason]));
    expect(failed, shown).toEqual(expected.failed);
  }
}

/** What one place holds afterwards, seen from outside. */
async function judgePlace(
  place: PlaceUse,
  backup: Backup,
  before: Files,
  index: number,
  expected: Expected,
  server: DatabaseServer,
  tally: Tally,
): Promise<void> {
  const policy = backup.spec.policy ?? '';
  const after = await listFiles(place.root, policyFolder(policy));
  for (const [path, hash] of before) expect(after.get(path), `${place.location}: ${path} was left alone`).toBe(hash);
  const fresh = [...after.keys()].filter((path) => !before.has(path));
  const manifests = fresh.filter((path) => path.endsWith('manifest.json'));
  const isStored = expected.destinations[index] === 'Stored' || expected.unknown?.includes(index) === true;
  if (!isStored) {
    expect(manifests, `${place.location} has no manifest`).toEqual([]);
    if (expected.remains?.includes(index) === true) return;
    expect(fresh, `${place.location} keeps nothing`).toEqual([]);
    expect(await place.uploads(policyFolder(policy)), `${place.location} has no unfinished uploads`).toEqual([]);
    return;
  }
  const key = `${policyFolder(policy)}${backup.metadata.name}/manifest.json`;
  expect(manifests, `${place.location} has the manifest`).toEqual([key]);
  const copy = await verifyCopy(place.root, key, server, after);
  tally.committedBytes += copy.bytes;
  tally.differingBytes += copy.differing;
  expect(copy.problems, `${place.location} holds what the databases hold`).toEqual([]);
  expect(copy.manifest.backup.uid).toBe(backup.metadata.uid);
  if (expected.remains?.includes(index) === true) return;
  const { databases, globals } = copy.manifest;
  const artifacts = [
    ...databases.flatMap((database) => database.artifacts),
    ...(globals === undefined ? [] : [globals]),
  ];
  const named = artifacts.flatMap(({ volumes }) => volumes.map((volume) => volume.key));
  expect(fresh.toSorted(), `${place.location} keeps nothing but the backup`).toEqual([...named, key].toSorted());
  if (expected.remains === undefined) {
    expect(await place.uploads(policyFolder(policy)), `${place.location} has no unfinished uploads`).toEqual([]);
  }
}

async function judgeMetrics(
  metrics: ControllerMetrics,
  policy: string,
  result: string,
  succeeded: 0 | 1,
): Promise<void> {
  const sample = (text: string, name: string, labels: string): string | undefined =>
    text
      .split('\n')
      .find((line) => line.startsWith(`${name}{`) && line.includes(`policy="${policy}"`) && line.includes(labels))
      ?.split(' ')
      .at(-1);
  await until(`metrics of ${policy}: ${result}`, async () => {
    const { text } = await metrics.print();
    const runs = Number(sample(text, 'pgbackup_runs_total', `result="${result}"`) ?? 0);
    return runs > 0 && sample(text, 'pgbackup_last_attempt_succeeded', '') === String(succeeded);
  });
}
