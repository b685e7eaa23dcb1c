import {
  repeat,
  restore,
  restoreOf,
  server,
  withRestore,
  withSource,
  withTemplate,
  type BadObject,
  type GoodObject,
} from './object-cases.ts';

const time = '2026-01-01T03:00:00Z';
const condition = (type: string) => ({
  type,
  status: 'True',
  reason: 'Restored',
  message: '',
  lastTransitionTime: time,
});
const target = (members: object) => withRestore({ target: { postgres: server, ...members } });
const pairs = (count: number) => repeat(count, (index) => ({ source: `s${index}`, target: `t${index}` }));
const chosen = {
  location: 'near',
  backup: 'nightly-20260101t030000z',
  backupUid: 'uid',
  key: 'a/b.zip',
  bytes: 5,
  modifiedAt: time,
  tag: '"abc"',
  format: 'Dumpall',
  member: 'dump.sql',
};

/** Accepted by both, with the same defaults. */
export const goodRestores: readonly GoodObject[] = [
  { name: 'the smallest restore', object: withRestore() },
  { name: 'a restore of the newest', object: withSource({ policy: { name: 'nightly', latest: true } }) },
  {
    name: 'a restore of a time, from one place',
    object: withSource({
      policy: { name: 'nightly', at: '2026-01-01T05:30:00+02:00', location: 'far' },
      database: 'Größe',
    }),
  },
  {
    name: 'a restore with latest false and a time',
    object: withSource({ policy: { name: 'a', latest: false, at: time } }),
  },
  { name: 'a restore of a file', object: withSource({ file: { location: 'sftp', key: 'in/app.dump' } }) },
  {
    name: 'a restore of the newest file',
    object: withSource({ file: { location: 'sftp', pattern: '**/*.{zip,gz}', member: '*.sql' }, database: 'app' }),
  },
  { name: 'a restore of 50 databases', object: target({ databases: pairs(50) }) },
  {
    name: 'a restore with everything for mode Replace',
    object: restore(
      {
        source: { backup: { name: 'b'.repeat(57), location: 'near' }, database: 'app' },
        target: {
          postgres: { host: 'db.example.com', port: 5433, tls: { mode: 'require' }, ...server },
          database: 'App "2"',
        },
        mode: 'Replace',
        keepPrevious: true,
        options: {
          jobs: 8,
          maintenanceWorkMem: '1GB',
          synchronousCommit: true,
          noOwner: true,
          noPrivileges: true,
          role: 'owner',
          globals: true,
          analyze: false,
        },
        afterSql: ["UPDATE users SET mail = 'x' WHERE true"],
        checks: [{ sql: 'SELECT count(*) FROM users', operator: 'GreaterOrEqual', value: '1' }],
        scratch: { size: '1.5Gi', storageClassName: 'fast.ssd' },
        runner: { deadlineSeconds: 60, retries: 0 },
        unlessRestored: chosen,
        ttlSecondsAfterFinished: 0,
      },
      'r'.repeat(57),
    ),
  },
  {
    name: 'a restore of some tables in place',
    object: withRestore({
      mode: 'InPlace',
      inPlace: { clean: true, acknowledgeDataLoss: true },
      select: { schemas: ['a', 'b'], tables: ['public.users'], dataOnly: true },
    }),
  },
  {
    name: 'a restore with what is left out, and how it goes on',
    object: withRestore({
      select: { excludeSchemas: ['old'], excludeTables: ['public.clicks'], excludeTableData: ['public.audit'] },
      options: {
        without: ['comments', 'eventTriggers', 'policies'],
        onError: 'Continue',
        searchPath: ['public', 'b c'],
      },
      beforeSql: ['CREATE EXTENSION postgis'],
    }),
  },
  {
    name: 'a restore that drops what hangs on its tables',
    object: withRestore({
      mode: 'InPlace',
      inPlace: { clean: true, acknowledgeDataLoss: true, dropOthers: true },
    }),
  },
  {
    name: 'a restore of definitions to a new database',
    object: withRestore({ mode: 'Create', select: { schemaOnly: true } }),
  },
  {
    name: 'a restore with nulls',
    object: withRestore({ mode: null, checks: null, select: { tables: null, dataOnly: null } }),
  },
  {
    name: 'a restore that is written again as it is',
    old: withRestore({ mode: 'Create', keepPrevious: false }),
    object: withRestore({ keepPrevious: false, mode: 'Create' }),
  },
  { name: 'the smallest restore policy', object: withTemplate() },
  {
    name: 'a restore policy with everything of its own',
    object: withTemplate(
      { mode: 'Create' },
      {
        schedule: '0 2 * * MON',
        timeZone: 'Europe/Berlin',
        jitterSeconds: 60,
        startingDeadlineSeconds: 10,
        suspend: true,
        whenUnchanged: 'Restore',
        retries: { limit: 0, backoffSeconds: 1 },
        successfulRestoresHistoryLimit: 0,
        failedRestoresHistoryLimit: 100,
      },
    ),
  },
  { name: 'another template', old: withTemplate(), object: withTemplate({ mode: 'Create' }) },
];

const immutable = 'the spec of a RestoreRequest is immutable';

/** Refused by both. */
export const badRestores: readonly BadObject[] = [
  {
    name: 'a restore name of 58 characters',
    object: restore(restoreOf(), 'r'.repeat(58)),
    error: 'at most 57 characters',
  },
  {
    name: 'a restore policy name of 41 characters',
    object: { ...withTemplate(), metadata: { name: 'p'.repeat(41) } },
    error: 'at most 40 characters',
  },
  {
    name: 'an unknown field of a restore',
    object: withRestore({ modus: 'Create' }),
    error: 'unknown field "spec.modus"',
  },
  {
    name: 'an unknown field of a template',
    object: withTemplate({ unlessRestored: {} }),
    error: 'unknown field "spec.template.spec.unlessRestored"',
  },
  { name: 'a restore of nothing', object: withSource({}), error: 'exactly one of backup, policy, file must be set' },
  {
    name: 'a restore of two things',
    object: withSource({ backup: { name: 'a' }, file: { location: 'a', key: 'b' } }),
    error: 'exactly one of backup, policy, file must be set',
  },
  {
    name: 'a policy with neither latest nor at',
    object: withSource({ policy: { name: 'a' } }),
    error: 'exactly one of at and latest: true must be set',
  },
  {
    name: 'a policy with latest false alone',
    object: withSource({ policy: { name: 'a', latest: false } }),
    error: 'exactly one of at and latest: true must be set',
  },
  {
    name: 'a policy with both',
    object: withSource({ policy: { name: 'a', latest: true, at: time } }),
    error: 'exactly one of at and latest: true must be set',
  },
  {
    name: 'a time that is none',
    object: withSource({ policy: { name: 'a', at: 'yesterday' } }),
    error: 'spec.source.policy.at',
  },
  {
    name: 'a file without key and pattern',
    object: withSource({ file: { location: 'a' } }),
    error: 'exactly one of key, pattern must be set',
  },
  {
    name: 'a file with key and pattern',
    object: withSource({ file: { location: 'a', key: 'b', pattern: 'c' } }),
    error: 'exactly one of key, pattern must be set',
  },
  { name: 'a restore to nowhere', object: target({}), error: 'exactly one of database, databases must be set' },
  {
    name: 'a restore to one and to several',
    object: target({ database: 'a', databases: pairs(1) }),
    error: 'exactly one of database, databases must be set',
  },
  { name: 'a restore of 51 databases', object: target({ databases: pairs(51) }), error: 'must have at most 50 items' },
  {
    name: 'two restores to the same database',
    object: target({ databases: [...pairs(1), { source: 'x', target: 't0' }] }),
    error: 'Duplicate value',
  },
  {
    name: 'a database of the source beside a list of them',
    object: withRestore({
      source: { backup: { name: 'a' }, database: 'b' },
      target: { postgres: server, databases: pairs(1) },
    }),
    error: 'source.database goes with target.database',
  },
  {
    name: 'a file for several databases',
    object: withRestore({
      source: { file: { location: 'a', key: 'b' } },
      target: { postgres: server, databases: pairs(1) },
    }),
    error: 'a file is restored to one database',
  },
  { name: 'a mode that is none', object: withRestore({ mode: 'Overwrite' }), error: 'spec.mode: Unsupported value' },
  {
    name: 'keepPrevious without Replace',
    object: withRestore({ mode: 'Create', keepPrevious: true }),
    error: 'keepPrevious goes with mode Replace',
  },
  {
    name: 'clean without acknowledgeDataLoss',
    object: withRestore({ mode: 'InPlace', inPlace: { clean: true } }),
    error: 'clean needs acknowledgeDataLoss: true',
  },
  {
    name: 'dropOthers without clean',
    object: withRestore({ mode: 'InPlace', inPlace: { dropOthers: true } }),
    error: 'dropOthers goes with clean',
  },
  {
    name: 'clean without InPlace',
    object: withRestore({ inPlace: { clean: true, acknowledgeDataLoss: true } }),
    error: 'clean goes with mode InPlace',
  },
  ...[{ schemas: ['a'] }, { tables: ['a.b'] }, { schemaOnly: true }, { dataOnly: true }].map((select) => ({
    name: `a selection (${Object.keys(select).join()}) that would replace the whole`,
    object: withRestore({ select }),
    error: 'a selection is restored with mode InPlace or Create',
  })),
  {
    name: 'rows without tables',
    object: withRestore({ mode: 'Create', select: { dataOnly: true } }),
    error: 'dataOnly needs tables to fill',
  },
  {
    name: 'neither definitions nor rows',
    object: withRestore({ mode: 'InPlace', select: { schemaOnly: true, dataOnly: true } }),
    error: 'schemaOnly and dataOnly exclude each other',
  },
  {
    name: 'a table that is named twice',
    object: withRestore({ mode: 'InPlace', select: { tables: ['a.b', 'a.b'] } }),
    error: 'Duplicate value',
  },
  {
    name: 'several jobs in one transaction',
    object: withRestore({ mode: 'InPlace', options: { jobs: 2 } }),
    error: 'jobs must be 1 with mode InPlace',
  },
  {
    name: 'memory that is no amount of PostgreSQL',
    object: withRestore({ options: { maintenanceWorkMem: '1GB -c role=x' } }),
    error: 'spec.options.maintenanceWorkMem',
  },
  { name: 'no job', object: withRestore({ options: { jobs: 0 } }), error: 'spec.options.jobs' },
  {
    name: 'a scratch volume of unknown size',
    object: withRestore({ scratch: { storageClassName: 'fast' } }),
    error: 'storageClassName needs size',
  },
  {
    name: 'a scratch size that is none',
    object: withRestore({ scratch: { size: '10 GB' } }),
    error: 'spec.scratch.size',
  },
  {
    name: 'a check without value',
    object: withRestore({ checks: [{ sql: 'SELECT 1' }] }),
    error: 'spec.checks[0].value',
  },
  {
    name: 'a check by feeling',
    object: withRestore({ checks: [{ sql: 'SELECT 1', operator: 'About', value: '1' }] }),
    error: 'Unsupported value',
  },
  {
    name: 'a time to live below zero',
    object: withRestore({ ttlSecondsAfterFinished: -1 }),
    error: 'spec.ttlSecondsAfterFinished',
  },
  { name: 'another mode later', old: withRestore(), object: withRestore({ mode: 'Create' }), error: immutable },
  {
    name: 'another target later',
    old: withRestore(),
    object: target({ database: 'other' }),
    error: immutable,
  },
  {
    name: 'a time to live that is added',
    old: withRestore(),
    object: withRestore({ ttlSecondsAfterFinished: 5 }),
    error: immutable,
  },
  {
    name: 'a restore policy without schedule',
    object: withTemplate({}, { schedule: undefined }),
    error: 'spec.schedule',
  },
  { name: 'a schedule of six fields', object: withTemplate({}, { schedule: '0 0 1 * * *' }), error: 'spec.schedule' },
  { name: 'ten retries', object: withTemplate({}, { retries: { limit: 10 } }), error: 'spec.retries.limit' },
  {
    name: 'a template that breaks a rule',
    object: withTemplate({ mode: 'Create', keepPrevious: true }),
    error: 'keepPrevious goes with mode Replace',
  },
  {
    name: 'a template without target',
    object: withTemplate({ target: undefined }),
    error: 'spec.template.spec.target: Required value',
  },
];

export const goodRestoreStatuses: readonly { readonly kind: string; readonly status: unknown }[] = [
  {
    kind: 'RestoreRequest',
    status: {
      conditions: [condition('Succeeded')],
      observedGeneration: 1,
      phase: 'CleaningUp',
      job: 'pgrr-a',
      cleanupJob: 'pgrc-a',
      failure: { reason: 'OutOfMemory', message: 'killed', at: time },
      startedAt: time,
      completedAt: time,
      source: chosen,
      readBytes: 1,
      plainBytes: 2,
      progress: { step: 'Loading', plainBytes: 1, bytesPerSecond: 1, databasesDone: 0, databasesTotal: 1 },
      databases: [
        { source: 'a', target: 'b', outcome: 'Restored', previous: 'b_20260101t030000z', notes: ['without x'] },
        { target: 'c', outcome: 'Changed', reason: 'ConnectionLost', message: 'gone' },
      ],
      rolesCreated: ['owner'],
    },
  },
  {
    kind: 'RestorePolicy',
    status: {
      conditions: [condition('Ready'), condition('Healthy')],
      observedGeneration: 1,
      phase: 'Ready',
      lastScheduleTime: time,
      nextScheduleTime: time,
      lastSuccessTime: time,
      active: ['refresh-20260101t030000z'],
      lastRestored: chosen,
      lastRestoredGeneration: 1,
      lastDurationSeconds: 5,
      missedRuns: 0,
      handledSlot: time,
      scheduledBy: '@daily Etc/UTC',
      scheduledSince: time,
      runs: { Succeeded: 1, Unchanged: 2, Failed: 3 },
      countedUids: ['uid'],
      countedThrough: time,
    },
  },
];
