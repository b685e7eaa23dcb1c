import { describe, expect, it } from 'vitest';
import type { BackupLocationStatus } from '../../src/api/backup-location.ts';
import type { BackupStatus } from '../../src/api/backup.ts';
import type { Backup } from '../../src/api/kinds.ts';
import { failureReasons } from '../../src/api/reasons.ts';
import { findCondition } from '../../src/controller/conditions.ts';
import { inspectionName } from '../../src/controller/location/job.ts';
import type { LocationSeen } from '../../src/controller/location/observe.ts';
import { planLocation } from '../../src/controller/location/plan.ts';
import type { JobSeen } from '../../src/controller/run/pods.ts';
import type { InspectVerdict, ResultLine } from '../../src/domain/report.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import { heldAfterOf } from '../builders/held-manifests.ts';
import { buildBackup, buildLocation, buildRun, condition, failed, succeeded } from '../builders/objects.ts';
import { foundBackup, inspectVerdict } from '../builders/verdicts.ts';
import { terminated, testMode } from './fake-cluster.ts';

const now = '2026-01-01T12:00:00Z';
const nowMs = Date.parse(now);

const asStatus = (status: unknown): BackupLocationStatus | undefined => status as BackupLocationStatus | undefined;

function look(given: Partial<LocationSeen> & { readonly backups?: readonly Backup[] } = {}) {
  const { backups = [], ...more } = given;
  const seen: LocationSeen = {
    nowMs,
    location: { object: buildLocation(), fault: undefined },
    job: undefined,
    jobs: [],
    pods: [],
    progress: undefined,
    trouble: undefined,
    results: undefined,
    refused: undefined,
    otherInspections: 0,
    policies: [],
    unfinished: [],
    failedThere: [],
    copies: { backups: 3, storedBytes: 300 },
    heldAfter: heldAfterOf(backups),
    imports: backups.filter(({ spec, status }) => spec.import !== undefined && status === undefined),
    backupNamed: (name) => backups.find(({ metadata }) => metadata.name === name),
    mode: testMode,
    ...more,
  };
  const plan = planLocation(seen);
  const writes = plan.actions.flatMap((action) => (action.type === 'set-status' ? [action] : []));
  const own = writes.find(({ object }) => object.kind === 'BackupLocation')?.status ?? seen.location.object.status;
  const status = asStatus(own);
  const available = findCondition(status?.conditions, 'Available');
  return {
    created: plan.actions.flatMap((action) => (action.type === 'create' ? [action] : [])),
    merged: writes.filter(({ object }) => object.kind === 'Backup').map(({ status: each }) => each as BackupStatus),
    order: plan.actions.map(({ type }) => type),
    status,
    says: available && `${available.status} ${available.reason}`,
    told: plan.actions.flatMap((action) => (action.type === 'tell' ? [action.reason] : [])),
    deleted: plan.actions.flatMap((action) => (action.type === 'delete' ? [action.name] : [])),
    wakeAt: plan.wakeAt === undefined ? undefined : new Date(plan.wakeAt).toISOString(),
  };
}

const probed = (more: Partial<BackupLocationStatus> = {}): BackupLocationStatus => ({
  observedGeneration: 1,
  lastProbeTime: '2026-01-01T11:30:00Z',
  failures: 0,
  countedJob: 'job-before',
  conditions: [condition('Available', 'True', 'ProbePassed')],
  phase: 'Available',
  backups: 3,
  storedBytes: 300,
  damagedManifests: 0,
  ...more,
});

/** The seen world after an inspection of `near` that said this. */
function after(
  verdict: Partial<InspectVerdict>,
  results: readonly ResultLine[] = [],
  status?: BackupLocationStatus,
): Partial<LocationSeen> {
  const object = buildLocation(status === undefined ? {} : { status });
  const complete: JobSeen = {
    metadata: {
      name: inspectionName(object),
      namespace: 'shop',
      uid: 'job-now',
      annotations: { 'pgbackup.dev/generation': '1' },
      ownerReferences: [
        {
          apiVersion: 'pgbackup.dev/v1beta1',
          kind: 'BackupLocation',
          name: 'near',
          uid: 'uid-of-near',
          controller: true,
        },
      ],
    },
    status: { conditions: [{ type: verdict.verdict === 'Failed' ? 'Failed' : 'Complete', status: 'True' }] },
  };
  const message = JSON.stringify(inspectVerdict({ resultLines: results.length, ...verdict }));
  return {
    location: { object, fault: undefined },
    job: complete,
    results,
    pods: [
      {
        metadata: { name: 'pod', namespace: 'shop', uid: 'pod' },
        status: terminated(verdict.verdict === 'Failed' ? 77 : 0, message, now),
      },
    ],
  };
}

describe('The plan of a location', () => {
  const minutes = (count: number): number => Date.parse('2026-01-01T11:30:00Z') + count * 60_000;
  it.each<[string, number, BackupLocationStatus | undefined, boolean]>([
    ['at once, when it is new', nowMs, undefined, true],
    ['not before its interval', minutes(59.9), probed(), false],
    ['after its interval', minutes(60), probed(), true],
    ['when its spec was changed', minutes(1), probed({ observedGeneration: 0 }), true],
    ['when somebody asked for it', minutes(1), probed({ probeRequestedAt: 'earlier' }), true],
    [
      'for the next page of its catalogue',
      minutes(1),
      probed({
        catalogue: { page: 1, after: 'k', backups: 1, storedBytes: 1, damagedManifests: 0 },
      }),
      true,
    ],
    ['not at once after a failure', minutes(0.9), probed({ failures: 1 }), false],
    ['a minute after a failure', minutes(1), probed({ failures: 1 }), true],
    ['later after more failures', minutes(7.9), probed({ failures: 4 }), false],
    ['later after more failures, but it is', minutes(8), probed({ failures: 4 }), true],
    ['never later than its interval', minutes(60), probed({ failures: 400 }), true],
  ])('inspects it %s', (_title, at, status, isDue) => {
    const object = buildLocation(status === undefined ? {} : { status });
    const seen = look({ nowMs: at, location: { object, fault: undefined } });
    expect(seen.created).toHaveLength(isDue ? 1 : 0);
    if (!isDue) expect(Date.parse(seen.wakeAt ?? '')).toBeGreaterThan(at);
  });

  it('waits while enough other locations are inspected', () => {
    const seen = look({ otherInspections: 4 });
    expect(seen.created).toEqual([]);
    expect(seen.wakeAt).toBe('2026-01-01T12:00:10.000Z');
    expect(seen.says).toBe('Unknown Inspecting');
  });

  it('takes a good answer: available, with what it measured and found', () => {
    const seen = look(after({ backups: 2, storedBytes: 200 }));
    expect(seen.says).toBe('True ProbePassed');
    expect(seen.status).toMatchObject({
      backups: 2,
      storedBytes: 200,
      failures: 0,
      countedJob: 'job-now',
      lastProbeTime: now,
      latencies: { putMilliseconds: 12 },
      phase: 'Available',
    });
    expect(seen.told).toEqual(['ProbePassed']);
  });

  it('adds pages up, and shows the sum only when the last one is in', () => {
    const page = look(after({ backups: 1000, storedBytes: 10, after: 'key' }, [], probed()));
    expect(page.status).toMatchObject({
      backups: 3,
      catalogue: { page: 1, after: 'key', backups: 1000, storedBytes: 10 },
    });
    const between = { ...page.status, backups: undefined, countedJob: 'job-before' };
    const last = look(after({ backups: 5, storedBytes: 1, latencies: {} }, [], between));
    expect(last.status).toMatchObject({ backups: 1005, storedBytes: 11 });
    expect(last.status?.catalogue).toBeUndefined();
    expect(inspectionName(buildLocation({ status: page.status }))).not.toBe(inspectionName(buildLocation()));
  });

  it('follows the Backup objects between inspections, once it has a number', () => {
    const copies = { backups: 4, storedBytes: 4_000_000 };
    const location = { object: buildLocation({ status: probed() }), fault: undefined };
    const seen = look({ location, copies });
    expect(seen.status).toMatchObject({ ...copies, storedSize: '4.00 MB', lastProbeTime: '2026-01-01T11:30:00Z' });
    expect(look({ copies }).status?.backups).toBeUndefined();
  });

  it('does not count what has the name of another backup of ours', () => {
    const found = foundBackup({ id: 'by-hand', uid: 'somebody' });
    const backups = [buildBackup({ name: 'by-hand' })];
    const seen = look({ ...after({ backups: 2, storedBytes: 3000 }, [found, foundBackup({ id: 'old' })]), backups });
    expect(seen.told).toContain('NameTaken');
    expect(seen.status).toMatchObject({ backups: 1, storedBytes: 3000 - found.storedBytes });
  });

  it('takes a bad answer: not available, and why; operations count', () => {
    const verdict = {
      verdict: 'Failed',
      reason: 'StorageDenied',
      message: 'no',
      hint: 'allow put',
      failedOperation: 'put',
    } as const;
    const seen = look(after(verdict, [], probed({ probeErrors: { put: 1, get: 0, list: 0, delete: 0 } })));
    expect(seen.says).toBe('False StorageDenied');
    expect(findCondition(seen.status?.conditions, 'Available')?.message).toBe('no; allow put');
    expect(seen.status).toMatchObject({ failures: 1, probeErrors: { put: 2 }, backups: 3, phase: 'Unavailable' });
    expect(seen.told).toEqual(['StorageDenied']);
  });

  it('counts steps that earlier versions did not know from nothing', () => {
    const verdict = { verdict: 'Failed', reason: 'StorageDenied', failedOperation: 'multipart' } as const;
    const seen = look(after(verdict, [], probed({ probeErrors: { put: 1, get: 0, list: 0, delete: 0 } })));
    expect(seen.status?.probeErrors).toEqual({ put: 1, get: 0, list: 0, delete: 0, multipart: 1 });
  });

  it.each([
    [{ conditions: 'Ignored' }, 'let only one cluster write here'],
    [{ overwrites: 'Replaced', deletes: 'Refused' }, 'turn on versioning or object lock'],
    [{ deletes: 'Allowed' }, 'the key may delete'],
    [{ unfinishedUploads: 2 }, '2 uploads cannot be aborted'],
  ] as const)('tells what a place that can be used lacks all the same: %j', (offers, text) => {
    const status = probed({ offers: { conditions: 'Kept' } });
    const seen = look(after({ offers, fullPart: true }, [], status));
    expect(findCondition(seen.status?.conditions, 'Available')?.message).toContain(text);
    expect(seen.status?.offers).toEqual({ conditions: 'Kept', ...offers });
    expect(seen.status?.fullPartTime).toBe(seen.status?.lastProbeTime);
  });

  it('does not know when the inspection itself failed', () => {
    const answer = after({}, [], probed());
    const seen = look({ ...answer, pods: [] });
    expect(seen.says).toBe('Unknown RunnerKilled');
    expect(seen.status).toMatchObject({ failures: 1, phase: 'Unknown' });
    expect(look(after({ verdict: 'Failed', reason: 'Internal' }, [], probed())).says).toBe('Unknown Internal');
  });

  it.each([
    [
      'ClaimRequired',
      { location: { object: buildLocation({ spec: { directory: { path: '/b' } } }), fault: undefined } },
    ],
    ['SpecInvalid', { location: { object: buildLocation(), fault: 'spec.x: unknown field' } }],
  ])('refuses what cannot be inspected: %s', (reason, given) => {
    const seen = look(given);
    expect(seen.says).toBe(`False ${reason}`);
    expect(seen.created).toEqual([]);
    expect(seen.told).toEqual([reason]);
  });

  it('no longer says that it is available when its inspections have been refused for long, and asks on', () => {
    const location = { object: buildLocation({ status: probed() }), fault: undefined };
    const at = (time: string) => look({ location, refused: 'exceeded quota', nowMs: Date.parse(time) });
    expect(at('2026-01-01T12:59:00Z')).toMatchObject({ says: 'True ProbePassed', told: [] });
    const over = at('2026-01-01T13:00:00Z');
    expect(over).toMatchObject({ says: 'Unknown PodRefused', order: ['set-status', 'tell', 'create'] });
    expect(findCondition(over.status?.conditions, 'Available')?.message).toContain('exceeded quota');
    expect(over.wakeAt).toBe('2026-01-01T13:01:00.000Z');
  });

  it('inspects a folder of a claim that is named, as the remedy of ClaimRequired says', () => {
    expect(failureReasons.ClaimRequired.remedy).toBe('Name a PersistentVolumeClaim in directory.claimName.');
    const object = buildLocation({ spec: { directory: { path: 'b', claimName: 'shelf' } } });
    const seen = look({ location: { object, fault: undefined } });
    expect(seen.created).toHaveLength(1);
  });

  it('deletes Jobs that went well with the next answer, and others after a day', () => {
    const old = (name: string, type: string, at: string): JobSeen => ({
      metadata: { name, namespace: 'shop', uid: name },
      status: { conditions: [{ type, status: 'True', lastTransitionTime: at }] },
    });
    const jobs = [
      old('last', 'Complete', '2026-01-01T11:30:00Z'),
      old('good', 'Complete', '2026-01-01T10:30:00Z'),
      old('bad', 'Failed', '2026-01-01T10:30:00Z'),
      old('bad-and-old', 'Failed', '2025-12-31T11:59:59Z'),
      { metadata: { name: 'going', namespace: 'shop', uid: 'going' } },
    ];
    const object = buildLocation({ status: probed({ countedJob: 'last' }) });
    expect(look({ location: { object, fault: undefined }, jobs }).deleted).toEqual(['good', 'bad-and-old']);
  });
});

describe('A catalogue', () => {
  it('shows what it found as objects that never run, status and all', () => {
    const seen = look(after({ backups: 1 }, [foundBackup()]));
    expect(seen.created).toHaveLength(1);
    expect(seen.created[0]?.object).toMatchObject({
      metadata: {
        name: 'nightly-20251231t030000z',
        namespace: 'shop',
        annotations: { 'pgbackup.dev/found-uid': 'made-as-nightly-20251231t030000z' },
      },
      spec: {
        policy: 'nightly',
        slot: '2025-12-31T03:00:00Z',
        import: { location: 'near', key: 'shop/nightly/nightly-20251231t030000z/manifest.json' },
      },
    });
    expect(seen.created[0]?.status).toMatchObject({
      phase: 'Succeeded',
      databases: { stored: ['app'], failed: [] },
      destinations: [{ location: 'near', outcome: 'Found', bytes: 1000 }],
      plainBytes: 5000,
      startedAt: '2025-12-31T03:00:04Z',
    });
    expect(seen.order.at(0)).toBe('create');
    expect(seen.told).toContain('BackupFound');
  });

  it.each([
    ['another namespace', foundBackup({ key: 'other/nightly/nightly-20251231t030000z/manifest.json' })],
    ['a key that does not say its id', foundBackup({ key: 'shop/nightly/x/manifest.json' })],
    [
      'another policy than its key says',
      foundBackup({ policy: 'nightly', key: 'shop/daily/nightly-20251231t030000z/manifest.json' }),
    ],
    ['an id that is no name', foundBackup({ id: '-x', key: 'shop/nightly/-x/manifest.json' })],
  ])('shows nothing of %s', (_title, line) => {
    expect(look(after({ backups: 1 }, [line])).created).toEqual([]);
  });

  const uid = 'made-as-nightly-20251231t030000z';
  const own = (status: Backup['status']) => buildRun('2025-12-31T03:00:00Z', status, { uid });

  it('leaves a run of ours as it is where it is stored, and adds a place where it was found', () => {
    const time = '2025-12-31T03:00:00Z';
    const stored = own(succeeded(time, time, { attempt: 'a', databases: { stored: ['app'], failed: [] } }));
    expect(look({ ...after({ backups: 1 }, [foundBackup()]), backups: [stored] })).toMatchObject({
      created: [],
      merged: [],
    });
    const far = { location: 'far', outcome: 'Stored' } as const;
    const elsewhere = own(succeeded(time, time, { destinations: [far] }));
    const seen = look({ ...after({ backups: 1 }, [foundBackup()]), backups: [elsewhere] });
    expect(seen.merged[0]?.destinations?.map(({ location, outcome }) => [location, outcome])).toEqual([
      ['far', 'Stored'],
      ['near', 'Found'],
    ]);
    expect(seen.merged[0]?.copies).toBe('2/2');
  });

  it('fills in details that were lost with a log, and a copy of a run that was given up; it stays failed', () => {
    const lost = own(
      failed('PodEvicted', '2025-12-31T09:00:00Z', {
        destinations: [{ location: 'near', required: true, outcome: 'Failed', reason: 'PodEvicted' }],
      }),
    );
    const seen = look({ ...after({ backups: 1 }, [foundBackup()]), backups: [lost] });
    expect(seen.merged[0]).toMatchObject({
      databases: { stored: ['app'], failed: [] },
      destinations: [{ location: 'near', required: true, outcome: 'Found' }],
    });
    expect(findCondition(seen.merged[0]?.conditions, 'Succeeded')).toMatchObject({
      status: 'False',
      reason: 'PodEvicted',
    });
  });

  it('does not touch a run that goes on', () => {
    expect(look({ ...after({ backups: 1 }, [foundBackup()]), backups: [own(undefined)] }).merged).toEqual([]);
  });

  it('never writes over another backup of the name: it says so', () => {
    const foreign = [
      buildRun('2025-12-31T03:00:00Z', succeeded(now, now), { uid: 'another' }),
      buildBackup({
        name: 'nightly-20251231t030000z',
        metadata: { annotations: { 'pgbackup.dev/found-uid': 'another' } },
        spec: { import: { location: 'far', key: 'k' } },
        status: succeeded(now, now),
      }),
    ];
    for (const existing of foreign) {
      const seen = look({ ...after({ backups: 1 }, [foundBackup()]), backups: [existing] });
      expect(seen).toMatchObject({ created: [], merged: [], says: 'True ProbePassed' });
      expect(seen.told).toContain('NameTaken');
      expect(findCondition(seen.status?.conditions, 'Available')?.message).toContain('nightly-20251231t030000z');
    }
  });

  it('fills in an import that has no status yet', () => {
    const imported = buildBackup({
      name: 'nightly-20251231t030000z',
      spec: { import: { location: 'near', key: 'shop/nightly/nightly-20251231t030000z/manifest.json' } },
    });
    const seen = look({ ...after({ backups: 1 }, [foundBackup()]), backups: [imported] });
    expect(findCondition(seen.merged[0]?.conditions, 'Succeeded')).toMatchObject({
      status: 'True',
      reason: 'Imported',
    });
  });

  it('takes no answer before all it found is written', () => {
    const lines = Array.from({ length: 150 }, (_, index) => foundBackup({ id: `old-${index}` }));
    const seen = look(after({ backups: 150 }, lines));
    expect(seen.created).toHaveLength(100);
    expect(seen.status?.countedJob).toBeUndefined();
    expect(seen.wakeAt).toBe('2026-01-01T12:00:00.000Z');
  });
});

describe('Marks', () => {
  it('are written with the answer, however many: what definitions of an earlier version drop is not waited for', () => {
    const lines = Array.from({ length: 150 }, (_, index) => foundBackup({ id: `old-${index}`, mark: 'abcdefgh' }));
    const backups = lines.map(({ id, key }) =>
      buildBackup({
        name: id,
        metadata: { uid: `made-as-${id}` },
        status: succeeded(now, now, {
          destinations: [{ location: 'near', required: true, outcome: 'Stored', manifestKey: key }],
          attempt: '12345678',
          databases: { stored: ['app'], failed: [] },
        }),
      }),
    );
    const seen = look({ ...after({ backups: 150 }, lines), backups });
    expect(seen.merged).toHaveLength(150);
    expect(seen.merged.every(({ destinations }) => destinations?.[0]?.listed === 'abcdefgh')).toBe(true);
    expect(seen.status?.countedJob).toBeDefined();
    expect(seen.status?.countedJob).not.toBe('job-before');
  });
});

describe('Remains', () => {
  const proposedBefore = probed({ remains: { objects: 4, removedObjects: 1, removableFolders: ['nightly/one'] } });
  const dueLocation = () => {
    const object = { ...buildLocation(), status: { ...proposedBefore, lastProbeTime: '2026-01-01T01:00:00Z' } };
    return { location: { object, fault: undefined } };
  };
  type Made = { readonly spec: { readonly template: { readonly metadata: { annotations: Record<string, string> } } } };
  const taskOf = ([job]: readonly { readonly object: unknown }[]) => {
    if (job === undefined) throw new Error('no Job was made');
    const { spec } = job.object as Made;
    const task = parseTask(spec.template.metadata.annotations['pgbackup.dev/task'] ?? '');
    return task.kind === 'inspect' ? task.remains : undefined;
  };
  const place = { location: 'near', outcome: 'Stored' } as const;

  it.each([
    ['there is no Backup of that name', [], ['nightly/one']],
    [
      'the Backup failed',
      [buildBackup({ name: 'one', status: { conditions: [condition('Succeeded', 'False', 'DumpFailed')] } })],
      ['nightly/one'],
    ],
    ['the Backup has not ended', [buildBackup({ name: 'one' })], []],
    [
      'the Backup is said to be there',
      [
        buildBackup({
          name: 'one',
          status: { conditions: [condition('Succeeded', 'True', 'Succeeded')], destinations: [place] },
        }),
      ],
      [],
    ],
  ])('may go as proposed when %s', (_, backups, remove) => {
    expect(taskOf(look({ ...dueLocation(), backups }).created)).toEqual({ deadlines: {}, running: [], remove });
  });

  it('are told in the status as they were counted, and what was removed is added up', () => {
    const results: readonly ResultLine[] = [{ type: 'result', v: 1, kind: 'remains', folders: ['nightly/two'] }];
    const { status } = look(
      after(
        { remains: { objects: 7, bytes: 70, removedObjects: 2, removedBytes: 9 }, resultLines: 1 },
        results,
        proposedBefore,
      ),
    );
    expect(status?.remains).toEqual({
      objects: 7,
      bytes: 70,
      removedObjects: 3,
      removedBytes: 9,
      removedUploads: 0,
      removableFolders: ['nightly/two'],
    });
  });

  it('says in Backups that their data is gone before it takes the answer, and tells so', () => {
    const manifestKey = 'shop/nightly/nightly-20251230t030000z/manifest.json';
    const slot = '2025-12-30T03:00:00Z';
    const destinations = [{ location: 'near', outcome: 'Stored', manifestKey }] as const;
    const gone = buildRun(slot, succeeded(slot, slot, { destinations: [...destinations] }));
    const seen = look({ ...after({ startedAt: '2026-01-01T11:59:00Z' }, [], probed()), backups: [gone] });
    expect(seen.order).toEqual(['set-status', 'set-status', 'tell']);
    expect(seen.merged[0]?.destinations?.[0]).toMatchObject({ outcome: 'Missing', missingSince: now });
    expect(seen.told).toEqual(['BackupVanished']);
    expect(seen.status?.countedJob).toBe('job-now');
  });
});

describe('A run that could not reach the place', () => {
  const missed = (reason: string, at: string, name = 'nightly-x'): Backup =>
    buildBackup({
      name,
      status: failed('DestinationFailed', at, {
        conditions: [condition('Succeeded', 'False', 'DestinationFailed', at)],
        destinations: [{ location: 'near', outcome: 'Failed', reason: reason as 'StorageDenied', message: 'HTTP 403' }],
      }),
    });
  const available = buildLocation({ status: probed() });
  const seen = (failedThere: readonly Backup[], object = available) =>
    look({ location: { object, fault: undefined }, failedThere });

  it('makes it unavailable, in its words, and has it looked at at once', () => {
    const { status, says, created } = seen([
      missed('StorageUnreachable', '2026-01-01T11:40:00Z', 'older'),
      missed('StorageDenied', '2026-01-01T11:50:00Z'),
    ]);
    expect(says).toBe('False StorageDenied');
    expect(status).toMatchObject({ phase: 'Unavailable', backups: 3, failures: 0 });
    expect(findCondition(status?.conditions, 'Available')).toMatchObject({
      message: 'the run nightly-x could not store here: HTTP 403',
      lastTransitionTime: now,
    });
    expect(created).toHaveLength(1);
  });

  it('says nothing once somebody has looked, or when the place was not the reason', () => {
    for (const backup of [
      missed('StorageDenied', '2026-01-01T11:30:00Z'),
      missed('StorageThrottled', '2026-01-01T11:50:00Z'),
      missed('AlreadyStored', '2026-01-01T11:50:00Z'),
    ]) {
      const { says, created } = seen([backup]);
      expect(says).toBe('True ProbePassed');
      expect(created).toEqual([]);
    }
  });

  it('does not hurry inspections of a place that is known to be away', () => {
    const away = buildLocation({
      status: probed({
        failures: 3,
        conditions: [condition('Available', 'False', 'StorageUnreachable')],
        lastProbeTime: '2026-01-01T11:58:00Z',
      }),
    });
    const { says, created, wakeAt } = seen([missed('StorageDenied', '2026-01-01T11:59:00Z')], away);
    expect(says).toBe('False StorageDenied');
    expect(created).toEqual([]);
    expect(wakeAt).toBe('2026-01-01T12:02:00.000Z');
  });
});
