const nowMs = Date.UTC(2026, 0, 1, 3);
import { describe, expect, it } from 'vitest';
import { createBackupJob, readBackupTask } from '../../src/controller/backup/job.ts';
import { createInspectJob } from '../../src/controller/location/job.ts';
import { createCleanupJob, createRestoreJob } from '../../src/controller/restore/job.ts';
import type { JobSeen } from '../../src/controller/run/pods.ts';
import { failureReasons } from '../../src/api/reasons.ts';
import type { BackupLocation } from '../../src/api/kinds.ts';
import { inspectorOf } from '../../src/domain/layout.ts';
import { runnerEnvironment } from '../../src/domain/runner-environment.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import { buildBackup, buildLocation, buildPolicy, buildRestore } from '../builders/objects.ts';
import { testMode } from './fake-cluster.ts';

const backup = buildBackup({ name: 'by-hand' });
const source = {
  postgres: {
    host: 'db',
    tls: { ca: { secretName: 'db', keys: { ca: 'root.pem' } } },
    credentials: { secretName: 'db', keys: { uri: 'fqdn-uri' } },
    databases: { names: ['app'] },
  },
};
const shelf = buildLocation({ name: 'shelf', spec: { directory: { path: '/a', claimName: 'disk' } } });
const drawer = buildLocation({ name: 'drawer', spec: { directory: { path: '/b', claimName: 'disk' } } });
const destinations = [buildLocation(), shelf, drawer].map((location) => ({ location, required: true }));

interface Built {
  readonly metadata: Record<string, unknown>;
  readonly spec: Record<string, unknown> & {
    readonly podFailurePolicy: { readonly rules: readonly Record<string, unknown>[] };
    readonly template: {
      readonly metadata: { readonly annotations: Record<string, string>; readonly labels: Record<string, string> };
      readonly spec: Record<string, unknown> & {
        readonly containers: readonly (Record<string, unknown> & {
          readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
        })[];
        readonly volumes: readonly (Record<string, unknown> & { readonly name: string })[];
      };
    };
  };
}

const build = (mode = testMode, runner: object = {}): Built => {
  const policy = buildPolicy({ spec: { source, runner }, status: { lastSizeBytes: 77 } });
  return createBackupJob(backup, policy, destinations, mode, nowMs).object as unknown as Built;
};

const nothingKnown = { policies: [], unfinished: [], backupNamed: () => undefined, heldAfter: () => [] };

describe('The Job of a Backup', () => {
  it('is owned by it, bounded in time and tries, and gives up what cannot succeed', () => {
    const { metadata, spec } = build(testMode, { deadlineSeconds: 60, retries: 1 });
    expect(metadata).toMatchObject({
      name: 'pgb-by-hand',
      namespace: 'shop',
      ownerReferences: [{ kind: 'Backup', name: 'by-hand', uid: 'uid-of-by-hand', controller: true }],
    });
    expect(spec).toMatchObject({
      backoffLimit: 1,
      activeDeadlineSeconds: 60,
      podReplacementPolicy: 'Failed',
      completions: 1,
      parallelism: 1,
    });
    const [ignored, final] = spec.podFailurePolicy.rules;
    expect(ignored).toMatchObject({
      action: 'Ignore',
      onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }],
    });
    const onExitCodes = final?.['onExitCodes'] as { readonly values: readonly number[] } | undefined;
    const values = onExitCodes?.values ?? [];
    expect(final).toMatchObject({ action: 'FailJob', onExitCodes: { containerName: 'runner', operator: 'In' } });
    for (const [reason, { consequence, exitCode }] of Object.entries(failureReasons)) {
      if (consequence === 'retry') expect(values, reason).not.toContain(exitCode);
      else if (exitCode !== 75) expect(values, reason).toContain(exitCode);
    }
    expect(values.every((code) => code > 0 && code < 79 && code !== 75)).toBe(true);
  });

  it('runs a pod without token, rights and writable root, and lets nobody loosen that', () => {
    const { spec } = build(testMode, { podLabels: { 'pgbackup.dev/backup': 'x', team: 'a' } }).spec.template;
    expect(spec).toMatchObject({
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(spec.containers).toHaveLength(1);
    expect(spec.containers[0]).toMatchObject({
      name: 'runner',
      args: ['runner'],
      terminationMessagePolicy: 'File',
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    });
    const { labels } = build(testMode, { podLabels: { 'pgbackup.dev/backup': 'x', team: 'a' } }).spec.template.metadata;
    expect(labels).toMatchObject({ 'pgbackup.dev/backup': 'by-hand', team: 'a' });
  });

  it('runs as who it is said to, or whom the platform chooses, and never as root', () => {
    const who = (given?: object, template?: object): unknown => {
      const mode = { ...testMode, runner: { ...testMode.runner, ...(template && { securityContext: template }) } };
      const { securityContext, volumes } = build(mode, given && { securityContext: given }).spec.template.spec;
      const modes = volumes.flatMap(
        ({ secret }) => (secret as { defaultMode?: number } | undefined)?.defaultMode ?? [],
      );
      return [securityContext, new Set(modes)];
    };
    const always = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
    const image = {
      ...always,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      fsGroup: 65_532,
      fsGroupChangePolicy: 'OnRootMismatch',
    };
    expect(who()).toEqual([image, new Set([0o440])]);
    // Nobody is known to share a group with the files then.
    expect(who({})).toEqual([always, new Set([0o444])]);
    expect(who(undefined, {})).toEqual([always, new Set([0o444])]);
    expect(who({ runAsUser: 7 })).toEqual([{ ...always, runAsUser: 7 }, new Set([0o444])]);
    const shared = { fsGroup: 5, supplementalGroups: [6] };
    expect(who(shared, {})).toEqual([
      { ...always, ...shared, fsGroupChangePolicy: 'OnRootMismatch' },
      new Set([0o440]),
    ]);
  });

  it('mounts each Secret once, optional, with the keys that are named and no others', () => {
    const { volumes, containers } = build().spec.template.spec;
    const secrets = volumes.filter((volume) => 'secret' in volume);
    expect(secrets.map(({ secret }) => secret)).toEqual([
      {
        secretName: 'db',
        optional: true,
        defaultMode: 0o440,
        items: [
          { key: 'root.pem', path: 'root.pem' },
          { key: 'username', path: 'username' },
          { key: 'password', path: 'password' },
          { key: 'fqdn-uri', path: 'fqdn-uri' },
        ],
      },
      {
        secretName: 's3',
        optional: true,
        defaultMode: 0o440,
        items: ['accessKeyId', 'secretAccessKey', 'sessionToken'].map((key) => ({ key, path: key })),
      },
    ]);
    const mounts = containers[0]?.volumeMounts ?? [];
    expect(mounts.map(({ mountPath }) => mountPath)).toEqual([
      '/run/pgbackup/task',
      '/run/pgbackup/work',
      '/run/pgbackup/private',
      '/tmp',
      '/run/pgbackup/secrets/db',
      '/run/pgbackup/secrets/s3',
      '/run/pgbackup/volumes/volume-1',
    ]);
    expect(new Set(mounts.map(({ name }) => name))).toEqual(new Set(volumes.map(({ name }) => name)));
    // Files with secrets are made in memory; the work volume may be a disk, or a claim.
    expect(volumes.find(({ name }) => name === 'private')).toEqual({
      name: 'private',
      emptyDir: { medium: 'Memory', sizeLimit: '16Mi' },
    });
  });

  it('tells the runner all it needs, in a task that the runner reads', () => {
    const built = build();
    const task = parseTask(built.spec.template.metadata.annotations['pgbackup.dev/task'] ?? '');
    expect(task).toMatchObject({
      kind: 'backup',
      namespace: 'shop',
      policy: { name: 'nightly', uid: 'uid-of-nightly' },
      backup: { name: 'by-hand', uid: 'uid-of-by-hand' },
      databases: { names: ['app'] },
      compression: { algorithm: 'zstd' },
      expectedBytes: 77,
      deadline: '2026-01-01T09:00:00Z',
      waitForSecretSeconds: 120,
      destinations: [
        { location: { name: 'near', place: { s3: { bucket: 'backups', forcePathStyle: false } } }, required: true },
        { location: { name: 'shelf', place: { directory: { path: '/a', volume: 'volume-1' } } } },
        { location: { name: 'drawer', place: { directory: { path: '/b', volume: 'volume-1' } } } },
      ],
    });
    expect(readBackupTask(built as unknown as JobSeen)).toEqual(task);
  });

  it('takes paths as they are, without claims, where there is no Kubernetes', () => {
    const { spec, metadata } = build({ ...testMode, claimRequired: false }).spec.template;
    expect(spec.volumes.filter((volume) => 'persistentVolumeClaim' in volume)).toEqual([]);
    const task = parseTask(metadata.annotations['pgbackup.dev/task'] ?? '');
    expect(task.kind === 'backup' && task.destinations[1]?.location.place).toEqual({ directory: { path: '/a' } });
  });

  it.each([
    [{}, {}],
    [{ httpsProxy: 'http://proxy:3128' }, { HTTPS_PROXY: 'http://proxy:3128' }],
    [
      { httpProxy: 'http://proxy:1', httpsProxy: 'http://proxy:2', noProxy: '.svc,10.0.0.5' },
      { HTTP_PROXY: 'http://proxy:1', HTTPS_PROXY: 'http://proxy:2', NO_PROXY: '.svc,10.0.0.5' },
    ],
  ])('hands the proxy %o on to its runner, as do the Jobs of inspections and restores', (proxy, expected) => {
    const location = buildLocation({ spec: { runner: { proxy } } });
    const restore = buildRestore({ spec: { runner: { proxy } } });
    const copies = [{ copy: { location: 'near', outcome: 'Stored', manifestKey: 'key' }, location }] as const;
    const jobs = [
      build(testMode, { proxy }),
      createInspectJob(location, testMode, nothingKnown).object,
      createRestoreJob(restore, { state: 'found', backup, copies }, testMode).object,
      createCleanupJob(restore, testMode).object,
    ];
    for (const job of jobs) {
      const env = (job as unknown as Built).spec.template.spec.containers[0]?.['env'];
      const { NODE_OPTIONS, MALLOC_MMAP_THRESHOLD_, ...rest } = Object.fromEntries(
        (env as { readonly name: string; readonly value: string }[]).map(({ name, value }) => [name, value]),
      );
      expect([NODE_OPTIONS, MALLOC_MMAP_THRESHOLD_]).toEqual(Object.values(runnerEnvironment));
      expect(rest).toEqual(expected);
    }
  });

  it('is refused, not cut, when its task is too large for an annotation', () => {
    const names = Array.from({ length: 500 }, (_, index) => `${'ü'.repeat(59)}${index}`);
    const long = Array.from({ length: 100 }, (_, index) => `${'ü'.repeat(250)}${index}`);
    const big = { postgres: { ...source.postgres, databases: { all: true, exclude: names } } };
    const dump = { excludeTables: long, excludeSchemas: long, excludeTableData: long };
    const policy = buildPolicy({ spec: { source: big, dump } });
    expect(() => createBackupJob(backup, policy, destinations, testMode, nowMs)).toThrow(
      expect.objectContaining({ reason: 'SpecInvalid' }),
    );
  });
});

describe('The Job of an inspection', () => {
  it('probes on the first page, goes on where the last one ended, and is named anew with each answer', () => {
    const read = (location = buildLocation()) => {
      const { object } = createInspectJob(location, testMode, nothingKnown);
      const { metadata, spec } = object as unknown as Built;
      return {
        name: metadata['name'],
        spec,
        task: parseTask(spec.template.metadata.annotations['pgbackup.dev/task'] ?? ''),
      };
    };
    const first = read();
    expect(first.task).toMatchObject({ kind: 'inspect', probe: true, pageSize: 1000, accessMode: 'ReadWrite' });
    expect(first.spec).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 3600 });
    const catalogue = { page: 1, after: 'key', backups: 1000, storedBytes: 1, damagedManifests: 0 };
    const second = read(buildLocation({ status: { catalogue, countedJob: 'aaaa-bbbb-cccc' } }));
    expect(second.task).toMatchObject({ probe: false, after: 'key' });
    expect(second.name).toBe('pgbl-near-2-aaaabbbbcc');
    expect(first.name).not.toBe(second.name);
    expect(first.task).toMatchObject({ fullPart: true, inspector: inspectorOf('uid-of-near') });
    const long = read(buildLocation({ name: 'l'.repeat(40), status: { catalogue: { ...catalogue, page: 123_455 } } }));
    expect(String(long.name).length).toBeLessThanOrEqual(63);
  });

  it('stores a part of full size until it passed, after each change, and when it is asked for', () => {
    const wants = (location: BackupLocation) => {
      const { object } = createInspectJob(location, testMode, nothingKnown);
      const { spec } = object as unknown as Built;
      return parseTask(spec.template.metadata.annotations['pgbackup.dev/task'] ?? '');
    };
    const passed = { observedGeneration: 1, fullPartTime: '2026-01-01T00:00:00Z' };
    expect(wants(buildLocation({ status: passed }))).toMatchObject({ fullPart: false });
    expect(wants(buildLocation({ status: { observedGeneration: 1 } }))).toMatchObject({ fullPart: true });
    const changed = buildLocation({ status: { ...passed, observedGeneration: 0 } });
    expect(wants(changed)).toMatchObject({ fullPart: true });
    const asked = buildLocation({ status: passed });
    const annotated = {
      ...asked,
      metadata: { ...asked.metadata, annotations: { 'pgbackup.dev/probe-requested-at': 'now' } },
    };
    expect(wants(annotated)).toMatchObject({ fullPart: true });
  });
});
