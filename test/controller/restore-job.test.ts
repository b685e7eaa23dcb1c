import { describe, expect, it } from 'vitest';
import type { RestoreRequest } from '../../src/api/kinds.ts';
import { createCleanupJob, createRestoreJob } from '../../src/controller/restore/job.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import type { RestoreTask } from '../../src/domain/task.ts';
import { buildBackup, buildLocation, buildRestore } from '../builders/objects.ts';
import { testMode } from './fake-cluster.ts';

interface Built {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly template: {
      readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
      readonly spec: { readonly volumes: readonly (Readonly<Record<string, unknown>> & { readonly name: string })[] };
    };
  };
}

const disk = buildLocation({ name: 'disk', spec: { directory: { path: 'a', claimName: 'shelf' } } });
const near = buildLocation();
const copyAt = (location: string) => ({ location, outcome: 'Stored', manifestKey: `key-${location}` }) as const;
const backup = buildBackup({ name: 'one', metadata: { uid: 'uid-one' } });
const fromBackup = {
  state: 'found',
  backup,
  copies: [
    { copy: { ...copyAt('near'), manifestSha256: 'a'.repeat(64) }, location: near },
    { copy: copyAt('disk'), location: disk },
  ],
} as const;

function build(spec: object = {}, source: Parameters<typeof createRestoreJob>[1] = fromBackup, mode = testMode) {
  const job = createRestoreJob(buildRestore({ spec }), source, mode).object as unknown as Built;
  const task = parseTask(job.spec.template.metadata.annotations['pgbackup.dev/task'] ?? '') as RestoreTask;
  const volumes = new Map(job.spec.template.spec.volumes.map(({ name, ...volume }) => [name, volume]));
  return { job, task, volumes };
}

describe('The Job of a RestoreRequest', () => {
  it('is owned by it, bounded in time and tries, and may be found by its labels', () => {
    const { job } = build({ runner: { deadlineSeconds: 60, retries: 1 } });
    expect(job).toMatchObject({
      metadata: {
        name: 'pgrr-again',
        namespace: 'shop',
        labels: { 'pgbackup.dev/restore': 'again', 'pgbackup.dev/task-kind': 'restore' },
        ownerReferences: [{ kind: 'RestoreRequest', name: 'again', uid: 'uid-of-again', controller: true }],
      },
      spec: { activeDeadlineSeconds: 60, backoffLimit: 1, podReplacementPolicy: 'Failed' },
    });
    expect(JSON.stringify(job.spec['podFailurePolicy'])).toContain('FailJob');
  });

  it('tells where the copies are, and mounts their secrets and claims, and those of the target', () => {
    const { task, volumes } = build();
    expect(task.source).toEqual({
      backup: {
        name: 'one',
        uid: 'uid-one',
        copies: [
          expect.objectContaining({ manifestKey: 'key-near', manifestSha256: 'a'.repeat(64) }),
          expect.objectContaining({ manifestKey: 'key-disk' }),
        ],
      },
    });
    expect(task.source.backup?.copies[1]?.location.place.directory).toEqual({ path: 'a', volume: 'volume-1' });
    expect(volumes.get('volume-1')).toEqual({ persistentVolumeClaim: { claimName: 'shelf' } });
    const secrets = [...volumes.values()].flatMap(({ secret }) => {
      const named = secret as { readonly secretName: string } | undefined;
      return named === undefined ? [] : [named.secretName];
    });
    expect(secrets.toSorted()).toEqual(['s3', 'staging']);
  });

  it('tells all that the spec says', () => {
    const checks = [{ sql: 'SELECT 1', operator: 'Greater', value: '0' }];
    const { task } = build({
      mode: 'InPlace',
      inPlace: { clean: true, acknowledgeDataLoss: true },
      select: { tables: ['public.a'], dataOnly: true },
      options: { noOwner: true, role: 'r', analyze: false },
      afterSql: ['SELECT 2'],
      checks,
      unlessRestored: { backup: 'zero', backupUid: 'u' },
    });
    expect(task).toMatchObject({
      mode: 'InPlace',
      clean: true,
      select: { tables: ['public.a'], dataOnly: true, schemaOnly: false },
      options: { noOwner: true, noPrivileges: false, role: 'r', globals: false, analyze: false },
      afterSql: ['SELECT 2'],
      checks,
      unlessRestored: { backup: 'zero', backupUid: 'u' },
      target: { server: { host: 'staging.example.com', port: 5432 }, databases: [{ target: 'app' }] },
      settleSeconds: 10,
    });
  });

  it('knows a found backup by the uid in its manifest, and one that was added by hand by none', () => {
    const found = (annotations: Record<string, string>) => ({
      ...fromBackup,
      backup: buildBackup({ metadata: { annotations }, spec: { import: { location: 'near', key: 'k' } } }),
    });
    expect(build({}, found({ 'pgbackup.dev/found-uid': 'then' })).task.source.backup?.uid).toBe('then');
    expect(build({}, found({})).task.source.backup?.uid).toBeUndefined();
  });

  it('hands a file to the runner as it is meant', () => {
    const file = { location: 'near', pattern: '*.zip', member: '*.sql' };
    const source = { state: 'found', file: near } as const;
    const { task } = build({ source: { file, database: 'shop' } }, source);
    expect(task.source.file).toMatchObject({ location: { name: 'near' }, pattern: '*.zip', member: '*.sql' });
    expect(task.target.databases).toEqual([{ source: 'shop', target: 'app' }]);
  });

  it.each<readonly [string, RestoreRequest['spec']['scratch'], object]>([
    ['the node’s disk', {}, { emptyDir: {} }],
    ['at most so much of it', { size: '5Gi' }, { emptyDir: { sizeLimit: '5Gi' } }],
    [
      'a volume of its own',
      { size: '5Gi', storageClassName: 'fast' },
      {
        ephemeral: {
          volumeClaimTemplate: {
            spec: {
              accessModes: ['ReadWriteOnce'],
              storageClassName: 'fast',
              resources: { requests: { storage: '5Gi' } },
            },
          },
        },
      },
    ],
  ])('works on %s', (_, scratch, volume) => {
    expect(build({ scratch }).volumes.get('work')).toEqual(volume);
    expect(build({ scratch }, fromBackup, { ...testMode, claimRequired: false }).volumes.get('work')).toEqual({
      emptyDir: {},
    });
  });

  it('is not made when its task is too large for an annotation', () => {
    const afterSql = Array.from({ length: 16 }, () => 'x'.repeat(16_000));
    expect(() => build({ afterSql })).toThrow(expect.objectContaining({ reason: 'SpecInvalid' }));
  });

  it('is followed by a cleanup of half an hour at most, which knows no source', () => {
    const request = buildRestore({ spec: { keepPrevious: true } });
    const job = createCleanupJob(request, testMode).object as unknown as Built;
    expect(job).toMatchObject({
      metadata: { name: 'pgrc-again', labels: { 'pgbackup.dev/task-kind': 'cleanup' } },
      spec: { activeDeadlineSeconds: 1800, backoffLimit: 8 },
    });
    const task = parseTask(job.spec.template.metadata.annotations['pgbackup.dev/task'] ?? '');
    expect(task).toMatchObject({ kind: 'cleanup', keepPrevious: true, request: { uid: 'uid-of-again' } });
    expect(JSON.stringify(job)).not.toContain('s3');
  });
});
