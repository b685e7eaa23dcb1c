import { z } from 'zod';
import {
  backupNameMaxLength,
  bytes,
  objectName,
  policyNameMaxLength,
  postgresName,
  runnerOptions,
  subdomainName,
  timestamp,
} from './parts.ts';
import { identities } from './encryption.ts';
import { signedBy } from './signatures.ts';
import { postgresServerShape } from './postgres-server.ts';
import { restoreOptions } from './restore-options.ts';
import { exactlyOne, rule, withRules } from './rules.ts';

/** Databases of one request: their swaps are one transaction. */
export const maxRestoredDatabases = 50;
export const maxChecks = 50;

const name = (description: string, maxLength = policyNameMaxLength) => objectName(maxLength).meta({ description });
const names = (description: string) =>
  z.array(postgresName()).min(1).max(500).optional().meta({ description, 'x-kubernetes-list-type': 'set' });

const file = withRules(
  z.strictObject({
    location: name('The BackupLocation where the file lies.'),
    key: z.string().min(1).max(1024).optional().meta({ description: 'Its path below the location’s prefix.' }),
    pattern: z.string().min(1).max(1024).optional().meta({
      description:
        'The newest file whose path below the prefix matches: * is anything but /, ** anything, ? one character, {a,b} either. Newest by time of change, then by name.',
    }),
    member: z.string().min(1).max(1024).optional().meta({
      description: 'Which file inside of a ZIP (same patterns); needed when it holds several that could be meant.',
    }),
    foreign: z.boolean().default(false).meta({
      description:
        'true: also what runs of another namespace stored there (<namespace>/<policy>/<backup>/<attempt>/…). Without it such a key is refused, and no pattern finds one.',
    }),
  }),
  exactlyOne('key', 'pattern'),
);

const source = withRules(
  z.strictObject({
    backup: z
      .strictObject({
        name: name('A Backup in the same namespace.', backupNameMaxLength),
        location: name('Take this copy. Default: any that is there, required destinations first.').optional(),
      })
      .optional()
      .meta({ description: 'One backup.' }),
    policy: withRules(
      z.strictObject({
        name: name('Name of the BackupPolicy (it need not exist any more).'),
        latest: z.boolean().optional().meta({ description: 'true: the newest.' }),
        at: timestamp().optional().meta({ description: 'The newest that was started at or before this time.' }),
        location: name('Only backups that this location holds.').optional(),
      }),
      rule<{ latest?: boolean; at?: string }>(
        'has(self.at) != (has(self.latest) && self.latest)',
        (self) => (self.at !== undefined) !== (self.latest === true),
        'exactly one of at and latest: true must be set',
      ),
    )
      .optional()
      .meta({
        description:
          'A committed backup of a policy that holds the wanted databases and is not damaged. When none fits the request fails; nothing else is taken instead.',
      }),
    file: file.optional().meta({
      description:
        'A file that anybody made: pg_dump in any format, pg_dumpall, plain SQL; alone or in ZIP, gzip, zstd or tar. What it is, its content says.',
    }),
    identities: identities(),
    signedBy: signedBy(),
    database: postgresName().optional().meta({
      description:
        'Which of the databases in the backup, or in a script of pg_dumpall. Default: the only one, else the one that is named like the target.',
    }),
  }),
  exactlyOne('backup', 'policy', 'file'),
  rule<{ file?: unknown; signedBy?: unknown }>(
    '!has(self.file) || !has(self.signedBy)',
    (self) => self.file === undefined || self.signedBy === undefined,
    'signedBy goes with backup or policy: files of others have no signatures',
  ),
);

const target = withRules(
  z.strictObject({
    postgres: z.strictObject(postgresServerShape).meta({ description: 'The server to restore to.' }),
    database: postgresName().optional().meta({ description: 'The database to restore to.' }),
    databases: z
      .array(
        z.strictObject({
          source: postgresName().meta({ description: 'Its name in the backup.' }),
          target: postgresName().meta({ description: 'Its name on the server.' }),
        }),
      )
      .min(1)
      .max(maxRestoredDatabases)
      .optional()
      .meta({
        description: 'Several databases of one backup, all or none of them.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['target'],
      }),
  }),
  exactlyOne('database', 'databases'),
);

const select = withRules(
  z.strictObject({
    schemas: names('Only what is in these schemas (plain names).'),
    tables: names(
      'Only these tables, views and sequences (schema.name as in the archive), with keys, indexes, constraints, triggers, defaults, owned sequences, comments and grants.',
    ),
    excludeSchemas: names('Not what is in these schemas, nor what needs something of them.'),
    excludeTables: names(
      'Not these tables, views and sequences (schema.name), nor what needs them: foreign keys, views. Partitions go with their parent.',
    ),
    excludeTableData: names('These tables without their rows, and without those of their partitions.'),
    schemaOnly: z.boolean().default(false).meta({ description: 'Definitions without rows.' }),
    dataOnly: z.boolean().default(false).meta({ description: 'Rows without definitions.' }),
  }),
  rule<{ schemaOnly?: boolean; dataOnly?: boolean }>(
    '!(has(self.schemaOnly) && self.schemaOnly && has(self.dataOnly) && self.dataOnly)',
    (self) => !(self.schemaOnly === true && self.dataOnly === true),
    'schemaOnly and dataOnly exclude each other',
  ),
);

const inPlace = withRules(
  z.strictObject({
    clean: z
      .boolean()
      .default(false)
      .meta({ description: 'Drop what the archive holds (of what is selected) before it is created.' }),
    acknowledgeDataLoss: z
      .boolean()
      .default(false)
      .meta({ description: 'Must be true with clean: dropped objects are gone.' }),
    dropOthers: z.boolean().default(false).meta({
      description:
        'With clean: also drop what goes with what is dropped and does not come back: partitions that were made since, sequences of columns, places in publications, indexes, keys, triggers, rules, policies, rights and default privileges that the archive does not have. Without it such a restore is refused, and names them.',
    }),
  }),
  rule<{ clean?: boolean; acknowledgeDataLoss?: boolean }>(
    '!has(self.clean) || !self.clean || (has(self.acknowledgeDataLoss) && self.acknowledgeDataLoss)',
    (self) => self.clean !== true || self.acknowledgeDataLoss === true,
    'clean needs acknowledgeDataLoss: true',
  ),
  rule<{ clean?: boolean; dropOthers?: boolean }>(
    '!has(self.dropOthers) || !self.dropOthers || (has(self.clean) && self.clean)',
    (self) => self.dropOthers !== true || self.clean === true,
    'dropOthers goes with clean',
  ),
);

export const checkOperators = ['Equal', 'NotEqual', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'] as const;

const check = z.strictObject({
  database: postgresName()
    .optional()
    .meta({ description: 'Target database where it runs; needed with several databases.' }),
  sql: z.string().min(1).max(4096).meta({ description: 'A query; the first column of its first row counts.' }),
  operator: z.enum(checkOperators).default('Equal').meta({
    description: 'How the result is compared with value: as numbers when both are numbers, else as text.',
  }),
  value: z.string().max(1024).meta({ description: 'What it is compared with.' }),
});

const scratch = z.strictObject({
  size: z
    .string()
    .min(1)
    .max(32)
    .regex(/^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/)
    .optional()
    .meta({ description: 'Its size; of an emptyDir the limit. Needed with storageClassName.' }),
  storageClassName: subdomainName()
    .optional()
    .meta({ description: 'Take a volume of this class for the time of the restore instead of the node’s disk.' }),
});
const scratchVolume = withRules(
  scratch,
  rule<{ size?: string; storageClassName?: string }>(
    '!has(self.storageClassName) || has(self.size)',
    (self) => self.storageClassName === undefined || self.size !== undefined,
    'storageClassName needs size',
  ),
);

/** Which bytes were restored: what two runs are compared by. */
export const restoredSource = () =>
  z.strictObject({
    location: z.string().max(63).optional().meta({ description: 'Name of the BackupLocation.' }),
    backup: z.string().max(63).optional().meta({ description: 'Name of the Backup.' }),
    backupUid: z.string().max(64).optional().meta({ description: 'Its uid, as the manifest has it.' }),
    key: z.string().max(1024).optional().meta({ description: 'Of the file, or of the manifest.' }),
    bytes: bytes().optional().meta({ description: 'Size of the file.' }),
    modifiedAt: timestamp().optional().meta({ description: 'Time of the file’s last change, as its place tells it.' }),
    tag: z.string().max(256).optional().meta({ description: 'The place’s own mark of the content (ETag).' }),
    format: z
      .enum(['Custom', 'Directory', 'Tar', 'Sql', 'Dumpall'])
      .optional()
      .meta({ description: 'What the content was found to be.' }),
    member: z.string().max(1024).optional().meta({ description: 'The file inside of a ZIP that was restored.' }),
  });

/** Everything of a restore that a RestorePolicy says as well. */
export const restoreShape = {
  source: source.meta({ description: 'What is restored.' }),
  target: target.meta({ description: 'Where to.' }),
  mode: z.enum(['Replace', 'Create', 'InPlace']).default('Replace').meta({
    description:
      'Replace: restore beside the target, check, then swap the two by renaming. Create: the target must not exist. InPlace: into the existing database, in one transaction.',
  }),
  keepPrevious: z
    .boolean()
    .default(false)
    .meta({ description: 'With Replace: the replaced database stays, under a name with the date.' }),
  inPlace: inPlace.prefault({}).meta({ description: 'Counts with mode InPlace.' }),
  select: select.prefault({}).meta({
    description: 'What of the archive is restored; default all. With Replace only what is excluded can be said.',
  }),
  options: restoreOptions.prefault({}).meta({ description: 'How it is restored.' }),
  beforeSql: z.array(z.string().min(1).max(16_384)).max(16).optional().meta({
    description:
      'SQL that runs in each database before it is loaded: in the new, empty one, or with mode InPlace in the load’s transaction. For example CREATE EXTENSION, or timescaledb_pre_restore().',
  }),
  afterSql: z.array(z.string().min(1).max(16_384)).max(16).optional().meta({
    description:
      'SQL that runs in each restored database before the checks and before anybody sees it, for example to mask personal data. With mode InPlace it is part of the load’s transaction.',
  }),
  checks: z.array(check).max(maxChecks).optional().meta({
    description:
      'Must all hold before the swap (InPlace: before the commit); else nothing is changed and the request fails.',
  }),
  scratch: scratchVolume.prefault({}).meta({
    description:
      'The volume for files of others that several connections restore, and for formats that cannot be streamed.',
  }),
  runner: runnerOptions().prefault({}).meta({ description: 'How the Job runs.' }),
};

/** Rules between members; the predicate sees what the defaults made. */
export const restoreRules = [
  rule<{ mode?: string; keepPrevious?: boolean }>(
    "!self.keepPrevious || self.mode == 'Replace'",
    (self) => self.keepPrevious !== true || self.mode === 'Replace',
    'keepPrevious goes with mode Replace',
  ),
  rule<{ mode?: string; inPlace?: { clean?: boolean } }>(
    "!self.inPlace.clean || self.mode == 'InPlace'",
    (self) => self.inPlace?.clean !== true || self.mode === 'InPlace',
    'clean goes with mode InPlace',
  ),
  rule<{ mode?: string; select?: { schemas?: unknown; tables?: unknown; schemaOnly?: boolean; dataOnly?: boolean } }>(
    "self.mode != 'Replace' || !(has(self.select.schemas) || has(self.select.tables) || self.select.schemaOnly || self.select.dataOnly)",
    ({ mode, select: chosen }) =>
      mode !== 'Replace' ||
      (chosen?.schemas === undefined &&
        chosen?.tables === undefined &&
        chosen?.schemaOnly !== true &&
        chosen?.dataOnly !== true),
    'a selection is restored with mode InPlace or Create: Replace replaces the whole database',
  ),
  rule<{ mode?: string; select?: { dataOnly?: boolean } }>(
    "self.mode != 'Create' || !self.select.dataOnly",
    (self) => self.mode !== 'Create' || self.select?.dataOnly !== true,
    'dataOnly needs tables to fill: use mode InPlace',
  ),
  rule<{ options?: { globals?: boolean; privilegedGlobals?: boolean } }>(
    '!self.options.privilegedGlobals || self.options.globals',
    ({ options: given }) => given?.privilegedGlobals !== true || given.globals === true,
    'privilegedGlobals goes with globals',
  ),
  rule<{ mode?: string; options?: { jobs?: number } }>(
    "self.mode != 'InPlace' || !has(self.options.jobs) || self.options.jobs == 1",
    (self) => self.mode !== 'InPlace' || (self.options?.jobs ?? 1) === 1,
    'jobs must be 1 with mode InPlace, which is one transaction',
  ),
  rule<{ source: { database?: string }; target: { databases?: unknown } }>(
    '!has(self.source.database) || !has(self.target.databases)',
    (self) => self.source.database === undefined || self.target.databases === undefined,
    'source.database goes with target.database; target.databases names its sources itself',
  ),
  rule<{ source: { file?: unknown }; target: { databases?: unknown } }>(
    '!has(self.source.file) || !has(self.target.databases)',
    (self) => self.source.file === undefined || self.target.databases === undefined,
    'a file is restored to one database: use target.database',
  ),
];

export type RestoredSource = z.infer<ReturnType<typeof restoredSource>>;
