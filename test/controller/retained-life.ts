import { createHash } from 'node:crypto';
import type { DestinationStatus } from '../../src/api/backup.ts';
import { Failure } from '../../src/api/failure.ts';
import { annotations, type Backup, type BackupPolicy } from '../../src/api/kinds.ts';
import { decideAt } from '../../src/controller/retention/decide.ts';
import { pruneName } from '../../src/controller/retention/job.ts';
import type { RetentionSeen } from '../../src/controller/retention/observe.ts';
import { planRetention } from '../../src/controller/retention/plan.ts';
import { retentionRules } from '../../src/controller/retention/rules.ts';
import type { CreateAction } from '../../src/controller/action.ts';
import type { RunObserved } from '../../src/controller/run/observe-run.ts';
import type { JobSeen } from '../../src/controller/run/pods.ts';
import { attemptOf } from '../../src/domain/attempt.ts';
import { manifestKey, volumeKey } from '../../src/domain/layout.ts';
import { printManifest, type Manifest } from '../../src/domain/manifest.ts';
import { backupName } from '../../src/domain/names.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import { stamp } from '../../src/domain/stamp.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { changeStorage } from '../builders/change-storage.ts';
import { buildBackup, buildLocation, buildPolicy, condition } from '../builders/objects.ts';
import { seededRandom } from '../kube/manual-clock.ts';
import { manifestOf } from '../runner/manifest-of.ts';
import { pruneAt, startPruneStand, type PruneStand } from '../runner/prune-stand.ts';
import { testMode } from './fake-cluster.ts';

const hour = 3_600_000;
const day = 24 * hour;
const placeNames = ['near', 'far'] as const;
type PlaceName = (typeof placeNames)[number];

export interface LifeOptions {
  readonly seed: number;
  readonly stepMs: number;
  readonly steps: number;
  /** Of the policy. */
  readonly spec: object;
}

/** What went wrong; and that enough of everything happened. */
export interface Lived {
  readonly wrong: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** A copy that one place ever held. */
interface EverStored {
  readonly id: string;
  readonly startedMs: number;
  readonly databases: readonly string[];
}

/**
 * Time in the life of a policy with retention: runs that fail, in whole, at a place, or in one database; a database that comes and goes; clocks
 * that are a year off; places that do not list or answer; prunes that are killed at any question, or whose log is lost. The controller's plan
 * decides, the runner prunes real folders, and after each step it is looked at what is there.
 */
export async function live({ seed, stepMs, steps, spec }: LifeOptions): Promise<Lived> {
  const random = seededRandom(seed);
  const chance = (share: number): boolean => random.fraction() < share;
  const below = (most: number): number => Math.floor(random.fraction() * most);
  const stands = { near: await startPruneStand(), far: await startPruneStand() };
  const wrong: string[] = [];
  const counts: Record<string, number> = {};
  const count = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1);
  const startMs = Date.parse('2026-01-01T00:00:00Z');
  let policy = buildPolicy({ spec });
  const backups = new Map<string, Backup>();
  const ever: Record<PlaceName, EverStored[]> = { near: [], far: [] };
  let jobs: JobSeen[] = [];
  const answers = new Map<string, Pick<RunObserved, 'pods' | 'results'>>();
  const foreign = new Map<string, string>();

  const layForeign = async (): Promise<void> => {
    const others = [
      'notes.txt',
      'shop/nightly/notes.txt',
      'other/nightly/nightly-1/abcdef01/app.dump',
      'shop/other/other-1/abcdef01/app.dump',
    ];
    const ours = manifestKey('shop', 'nightly', 'nightly-of-another-cluster');
    const manifest = manifestOf('nightly-of-another-cluster', {
      policy: { name: 'nightly', uid: 'another' },
      startedAt: '2025-01-01T00:00:00Z',
    });
    for (const key of others) foreign.set(key, `foreign ${key}`);
    foreign.set(ours, printManifest(manifest));
    for (const [key, text] of foreign) for (const name of placeNames) await stands[name].put(key, text, startMs - day);
  };

  const run = async (realMs: number, isCalm = false): Promise<void> => {
    const happens = (share: number): boolean => !isCalm && chance(share);
    // One clock for controller and runner, which may be wrong; the places have their own.
    const jumps = [365 * day, -400 * day];
    const jump = (happens(0.02) ? jumps[below(2)] : undefined) ?? 0;
    if (jump !== 0) count('jumps');
    const slotMs = realMs + jump;
    const id = backupName('nightly', slotMs);
    if (backups.has(id)) return;
    if (happens(0.08)) {
      count('failedRuns');
      return;
    }
    const progress = (realMs - startMs) / (steps * stepMs);
    const wanted = ['app', 'flaky', ...(progress > 0.1 && progress < 0.5 ? ['crm'] : [])];
    const failing = wanted.filter((name) => happens(name === 'flaky' ? 0.3 : 0.03));
    const stored = wanted.filter((name) => !failing.includes(name));
    if (stored.length === 0) return;
    const uid = `uid-of-${id}`;
    const attempt = attemptOf('5eed5eed-0000', uid) ?? '';
    const folder = `shop/nightly/${id}/`;
    const artifactOf = (name: string) => {
      const content = `${id} ${name}`;
      const digest = { bytes: Buffer.byteLength(content), sha256: createHash('sha256').update(content).digest('hex') };
      const key = volumeKey(folder, attempt, { database: name }, { compression: 'none', isEncrypted: false }, 1);
      return {
        content,
        key,
        artifact: {
          volumes: [{ key, ...digest }],
          plain: digest,
          stored: digest,
          format: 'custom' as const,
          compression: 'none' as const,
        },
      };
    };
    const artifacts = new Map(stored.map((name) => [name, artifactOf(name)]));
    const manifest: Manifest = manifestOf(id, {
      backup: { id, uid, slot: stamp(slotMs) },
      attempt,
      startedAt: stamp(slotMs + 5000),
      completedAt: stamp(slotMs + 60_000),
      databases: wanted.map((name) => {
        const artifact = artifacts.get(name)?.artifact;
        return artifact === undefined
          ? { name, outcome: 'failed', reason: 'DumpFailed', artifacts: [] }
          : { name, outcome: 'stored', artifacts: [artifact] };
      }),
    });
    const text = printManifest(manifest);
    const manifestSha256 = createHash('sha256').update(text).digest('hex');
    const destinations: DestinationStatus[] = [];
    for (const name of placeNames) {
      if (happens(0.06)) {
        count('failedPlaces');
        destinations.push({ location: name, required: true, outcome: 'Failed', reason: 'StorageUnreachable' });
        continue;
      }
      for (const { key, content } of artifacts.values()) await stands[name].put(key, content, realMs + 50_000);
      const key = manifestKey('shop', 'nightly', id);
      await stands[name].put(key, text, realMs + 60_000);
      destinations.push({
        location: name,
        required: true,
        outcome: 'Stored',
        bytes: 10,
        manifestKey: key,
        manifestSha256,
      });
      ever[name].push({ id, startedMs: slotMs + 5000, databases: stored });
    }
    if (destinations.every(({ outcome }) => outcome === 'Failed')) return;
    const isGood = failing.length === 0 && destinations.every(({ outcome }) => outcome === 'Stored');
    count(isGood ? 'goodRuns' : 'partlyFailedRuns');
    const at = stamp(slotMs + 60_000);
    backups.set(
      id,
      buildBackup({
        name: id,
        metadata: { uid, creationTimestamp: stamp(slotMs) },
        spec: { slot: stamp(slotMs) },
        status: {
          conditions: [condition('Succeeded', isGood ? 'True' : 'False', isGood ? 'Succeeded' : 'DatabaseFailed', at)],
          startedAt: stamp(slotMs + 5000),
          completedAt: at,
          attempt,
          destinations,
          databases: { stored: [...stored], failed: failing.map((name) => ({ name, reason: 'DumpFailed' })) },
        },
      }),
    );
  };

  /** A place as a prune meets it: whole, or one that fails at some question. */
  const trouble = (stand: PruneStand): { readonly storage: Storage; readonly isKilled: () => boolean } => {
    const kind = below(20);
    const fail = new Failure('StorageUnreachable', 'no answer');
    let asked = 0;
    const last = kind === 1 ? 1 + below(40) : Infinity;
    const ask = <T>(work: () => T): T => {
      asked += 1;
      if (asked > last) throw fail;
      return work();
    };
    async function* listed(
      ...given: Parameters<Storage['list']>
    ): AsyncGenerator<Awaited<ReturnType<Storage['stat']>> & object> {
      let left = kind === 2 ? below(30) : Infinity;
      for await (const found of stand.place.list(...given)) {
        left -= 1;
        if (left < 0) throw fail;
        yield found;
      }
    }
    const storage = changeStorage(stand.place, {
      list: (...given) => ask(() => listed(...given)),
      get: (...given) => ask(() => stand.place.get(...given)),
      stat: async (...given) => ask(() => stand.place.stat(...given)),
      delete: async (...given) => {
        if (kind === 3 && chance(0.3)) throw new Failure('StorageDenied', 'not allowed');
        return ask(() => stand.place.delete(...given));
      },
      close: async () => undefined,
    });
    if (kind >= 1 && kind <= 3) count('troubledPrunes');
    return { storage, isKilled: () => asked > last };
  };

  const prune = async (action: CreateAction, isCalm: boolean, nowMs: number): Promise<void> => {
    const name = action.object.metadata.name;
    const raw = action.object as unknown as {
      spec: { template: { metadata: { annotations: Record<string, string> } } };
    };
    const task = parseTask(raw.spec.template.metadata.annotations[annotations.task] ?? '');
    if (task.kind !== 'prune') throw new Error(task.kind);
    count('prunes');
    const stand = stands[task.location.name as PlaceName];
    const { storage, isKilled } = isCalm
      ? { storage: changeStorage(stand.place, { close: async () => undefined }), isKilled: () => false }
      : trouble(stand);
    const { verdict, backups: pruned } = await pruneAt(storage, {
      ...task,
      location: { ...task.location, name: 'place' },
    });
    const isSilent = isKilled() || (!isCalm && chance(0.05));
    const isLogLost = !isCalm && chance(0.1);
    const job = {
      ...raw,
      metadata: { ...action.object.metadata, uid: `uid-of-${name}`, creationTimestamp: stamp(nowMs) },
      status: {
        conditions: [
          {
            type: verdict.verdict === 'Failed' || isSilent ? 'Failed' : 'Complete',
            status: 'True',
            lastTransitionTime: stamp(nowMs),
          },
        ],
      },
    } as unknown as JobSeen;
    const terminated = {
      exitCode: 0,
      finishedAt: stamp(nowMs - hour),
      ...(isSilent ? {} : { message: JSON.stringify(verdict) }),
    };
    const pod = {
      metadata: { name: `${name}-pod`, namespace: 'shop', uid: `pod-of-${name}` },
      status: { phase: 'Succeeded', containerStatuses: [{ name: 'runner', state: { terminated } }] },
    };
    jobs.push(job);
    answers.set(name, {
      pods: [pod],
      results: isLogLost || isSilent ? undefined : [{ type: 'result', v: 1, kind: 'pruned', backups: [...pruned] }],
    });
    if (isSilent) count('silentPrunes');
    count(verdict.removed > 0 ? 'removals' : 'emptyPrunes');
  };

  /** Looks until there is nothing more to be done now. */
  const look = async (nowMs: number, isCalm: boolean): Promise<void> => {
    for (let looks = 0; looks < 50; looks += 1) {
      const plan = planRetention(see(nowMs));
      const creations: CreateAction[] = [];
      for (const action of plan.actions) {
        // A controller may die between any two writes.
        if (!isCalm && chance(0.03)) break;
        if (action.type === 'create') creations.push(action);
        if (action.type === 'delete') jobs = jobs.filter(({ metadata }) => metadata.uid !== action.uid);
        if (action.type !== 'set-status') continue;
        if (action.object.kind === 'BackupPolicy')
          policy = { ...policy, status: action.status as NonNullable<BackupPolicy['status']> };
        else
          backups.set(action.object.metadata.name, {
            ...(backups.get(action.object.metadata.name) as Backup),
            status: action.status as NonNullable<Backup['status']>,
          });
      }
      for (const action of creations) await prune(action, isCalm, nowMs);
      const isIdle = plan.actions.every(({ type }) => type === 'tell' || type === 'delete');
      if (isIdle && (plan.wakeAt ?? Infinity) > nowMs) return;
      if (isIdle && creations.length === 0 && plan.actions.length === 0) return;
    }
    wrong.push(`looks without an end at ${stamp(nowMs)}`);
  };

  const see = (nowMs: number): RetentionSeen => ({
    nowMs,
    policy,
    places: [...retentionRules(policy.spec)].map(([location, rule]) => {
      const before = policy.status?.prunes?.find((each) => each.location === location);
      const jobName = pruneName(policy, location, before);
      const job = jobs.find(({ metadata }) => metadata.name === jobName);
      const answer = job === undefined ? undefined : answers.get(jobName);
      const nothing = { progress: undefined, trouble: undefined, refused: undefined };
      const object = buildLocation({
        name: location,
        status: { conditions: [condition('Available', 'True', 'ProbePassed')], backups: 1 },
      });
      return {
        location,
        rule,
        before,
        found: { object, fault: undefined },
        run: { ...nothing, job, pods: answer?.pods ?? [], results: answer?.results },
      };
    }),
    locations: new Map(),
    backups: [...backups.values()],
    backupNamed: (name) => backups.get(name),
    inUse: new Set(),
    jobs,
    otherPlaceJobs: 0,
    mode: testMode,
  });

  const check = async (nowMs: number): Promise<void> => {
    for (const name of placeNames) {
      const keys = new Set(await stands[name].left());
      for (const key of foreign.keys())
        if (!keys.has(key)) wrong.push(`${key} is gone from ${name} at ${stamp(nowMs)}`);
      for (const database of ['app', 'flaky', 'crm']) {
        const copies = ever[name].filter(({ databases }) => databases.includes(database));
        const newest = copies.reduce<EverStored | undefined>(
          (a, b) => (a !== undefined && a.startedMs > b.startedMs ? a : b),
          undefined,
        );
        if (newest === undefined || keys.has(manifestKey('shop', 'nightly', newest.id))) continue;
        wrong.push(`the newest ${database} (${newest.id}) is gone from ${name} at ${stamp(nowMs)}`);
      }
    }
  };

  try {
    await layForeign();
    for (let step = 1; step <= steps; step += 1) {
      const nowMs = startMs + step * stepMs;
      await run(nowMs);
      await look(nowMs + 120_000, false);
      await check(nowMs);
      if (step % 50 === 0)
        for (const name of placeNames)
          wrong.push(...(await stands[name].broken()).map((key) => `${key} is broken at ${name}`));
    }
    // A calm day: what was left because of troubles goes.
    const endMs = startMs + steps * stepMs + day;
    await run(endMs - hour, true);
    await look(endMs, true);
    for (const [name, rule] of retentionRules(policy.spec)) {
      const decision = decideAt(name, [...backups.values()], rule, 'Etc/UTC', new Set(), endMs);
      const manifests = (await stands[name as PlaceName].left()).filter(
        (key) => key.startsWith('shop/nightly/nightly-2') && key.endsWith('manifest.json'),
      );
      if (manifests.length !== decision?.kept || decision.removable.length > 0) {
        wrong.push(
          `${JSON.stringify(policy.status?.prunes?.find(({ location }) => location === name))}: ${name} has ${manifests.length} backups, ${decision?.kept} stay, ${decision?.removable.length} would go`,
        );
      }
      wrong.push(...(await stands[name as PlaceName].broken()).map((key) => `${key} is broken at the end`));
      counts[`kept at ${name}`] = manifests.length;
    }
    for (const [key, text] of foreign) {
      for (const name of placeNames) {
        const found = await read(stands[name].place, key);
        if (found !== text) wrong.push(`${key} was changed at ${name}`);
      }
    }
  } finally {
    await Promise.all([stands.near.stop(), stands.far.stop()]);
  }
  return { wrong, counts };
}

async function read(place: Storage, key: string): Promise<string> {
  let text = '';
  for await (const chunk of place.get(key, undefined, new AbortController().signal))
    text += Buffer.from(chunk).toString();
  return text;
}
