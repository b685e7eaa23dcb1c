import { z } from 'zod';
import {
  bytes,
  conditions,
  count,
  deletionPolicy,
  objectName,
  policyNameMaxLength,
  postgresName,
  runnerOptions,
  seconds,
} from './parts.ts';
import { encryption } from './encryption.ts';
import { signing } from './signatures.ts';
import { postgresServerShape } from './postgres-server.ts';
import { backfillMost, repair, repairStatus } from './repair.ts';
import { retentionRule, retentionStatus } from './retention.ts';
import { rule, withRules } from './rules.ts';
import { cronSchedule, scheduleShape, scheduleStatusShape } from './schedule.ts';

const pattern = () =>
  z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^\0\r\n]+$/);
const patterns = (description: string) => z.array(pattern()).min(1).max(100).optional().meta({ description });

export const maxDatabases = 500;
export const maxDestinations = 8;

const databases = withRules(
  z.strictObject({
    names: z
      .array(postgresName())
      .min(1)
      .max(maxDatabases)
      .optional()
      .meta({ description: 'These databases; one that is missing fails.', 'x-kubernetes-list-type': 'set' }),
    all: z.boolean().optional().meta({
      description:
        'Every database that allows connections and is no template. Providers’ own are left out, and those that a restore replaced and kept.',
    }),
    exclude: z
      .array(postgresName())
      .min(1)
      .max(maxDatabases)
      .optional()
      .meta({ description: 'With all: except these.', 'x-kubernetes-list-type': 'set' }),
  }),
  rule<{ names?: unknown; all?: boolean }>(
    'has(self.names) != (has(self.all) && self.all)',
    (self) => (self.names !== undefined) !== (self.all === true),
    'exactly one of names and all: true must be set',
  ),
  rule<{ names?: unknown; exclude?: unknown }>(
    '!has(self.exclude) || !has(self.names)',
    (self) => self.exclude === undefined || self.names === undefined,
    'exclude goes with all, not with names',
  ),
);

const postgres = z.strictObject({
  ...postgresServerShape,
  databases: databases.meta({
    description: 'What is backed up. Each database is stored, reported and restorable on its own.',
  }),
});

const dump = z.strictObject({
  schemas: patterns('Only these schemas (patterns of pg_dump; each must match something in each database).'),
  excludeSchemas: patterns('Not these schemas.'),
  tables: patterns('Only these tables (patterns of pg_dump; each must match something in each database).'),
  excludeTables: patterns('Not these tables.'),
  excludeTableData: patterns('These tables without their rows.'),
  largeObjects: z.boolean().optional().meta({
    description:
      'Large objects (lo_create and the like). Without it, all of them, but none when schemas or tables are chosen, and that is told (LargeObjectsLeftOut).',
  }),
  globals: z.boolean().default(true).meta({ description: 'Also store roles and tablespaces.' }),
  rolePasswords: z
    .boolean()
    .default(false)
    .meta({ description: 'Store password hashes of roles with the globals; needs the right to read pg_authid.' }),
  lockTimeoutSeconds: seconds(1, 86_400)
    .default(60)
    .meta({ description: 'How long pg_dump waits for a lock on a table.' }),
});

const compression = withRules(
  z.strictObject({
    algorithm: z
      .enum(['zstd', 'gzip', 'none'])
      .default('zstd')
      .meta({ description: 'none: stored as pg_dump wrote it.' }),
    level: z
      .int()
      .min(1)
      .max(22)
      .optional()
      .meta({ format: 'int32', description: 'zstd 1–22 (default 3), gzip 1–9 (default 6).' }),
  }),
  rule<{ algorithm: string; level?: number }>(
    "!has(self.level) || self.algorithm == 'zstd' || (self.algorithm == 'gzip' && self.level <= 9)",
    (self) => self.level === undefined || self.algorithm === 'zstd' || (self.algorithm === 'gzip' && self.level <= 9),
    'level is 1–22 with zstd, 1–9 with gzip, and not set with none',
  ),
);

export const readBacks = ['Sample', 'Full', 'None'] as const;

const verification = z.strictObject({
  readBack: z
    .enum(readBacks)
    .default('Sample')
    .meta({
      description:
        'What is read back from each place and compared before the backup counts. Sample: head, tail and random pieces of each object, ' +
        'about 1 %, where the place did not prove by a checksum of its own what it holds. Full: every byte, at every place. None: sizes only.',
    }),
});

const destination = z.strictObject({
  location: objectName(policyNameMaxLength).meta({ description: 'Name of a BackupLocation in the same namespace.' }),
  required: z.boolean().default(true).meta({ description: 'false: a failure here shows, but does not fail the run.' }),
  retention: retentionRule()
    .optional()
    .meta({ description: 'Which backups stay here, instead of what the policy’s own retention says.' }),
  backfill: z.int().min(0).max(backfillMost).optional().meta({
    format: 'int32',
    description:
      'With repair: so many of the newest backups that were stored before this was a destination are copied here.',
  }),
});

const historyLimit = (description: string) =>
  z.int().min(0).max(1000).default(10).meta({ format: 'int32', description });

export const backupPolicySpec = z.strictObject({
  source: z
    .strictObject({ postgres: postgres.meta({ description: 'A PostgreSQL server.' }) })
    .meta({ description: 'What the backup is made of.' }),
  schedule: cronSchedule()
    .optional()
    .meta({ description: 'Five fields as in cron, or a macro such as @daily. Without it only manual Backups run.' }),
  ...scheduleShape,
  concurrencyPolicy: z.enum(['Allow', 'Forbid', 'Replace']).default('Forbid').meta({
    description:
      'What happens when a slot comes while the run of an earlier one still goes on; Backups by hand do not count.',
  }),
  suspend: z.boolean().default(false).meta({ description: 'Stops the schedule; manual Backups still run.' }),
  successfulRunsHistoryLimit: historyLimit(
    'How many Backup objects are kept whose data is gone from every location. Those with data stay, and so does the newest success.',
  ),
  failedRunsHistoryLimit: historyLimit(
    'How many Backup objects of failed runs are kept that stored nothing. Backups by hand stay.',
  ),
  dump: dump.prefault({}).meta({ description: 'What pg_dump is asked for.' }),
  compression: compression.prefault({}).meta({ description: 'How the dump is made smaller.' }),
  encryption: encryption().optional().meta({
    description:
      'Encrypts what is stored, on the way: no place sees plain bytes. Manifests stay readable (docs/encryption.md).',
  }),
  signing: signing().optional().meta({
    description:
      'Signs the manifest of each backup: who writes to a place cannot forge or change one unseen (docs/encryption.md).',
  }),
  destinations: z
    .array(destination)
    .min(1)
    .max(maxDestinations)
    .meta({
      description: 'Where the backup goes: one dump, streamed to all places at once, each with its own outcome.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['location'],
    }),
  retention: retentionRule()
    .optional()
    .meta({ description: 'Which backups stay. Without it all of them do (docs/retention.md).' }),
  repair: repair().optional().meta({
    description:
      'What a destination missed or lost is copied there from another one, after the next success. Without it that stays as it is (docs/repair.md).',
  }),
  deletionPolicy: deletionPolicy().meta({
    description: 'Of the Backup objects that the schedule makes: what deleting one of them does to its data.',
  }),
  verification: verification.prefault({}).meta({ description: 'How a run proves what the places hold.' }),
  runner: runnerOptions().prefault({}).meta({ description: 'How backup Jobs run.' }),
});

/** Ways in which a run can end; `result` label of pgbackup_runs_total. */
export const runResults = ['Succeeded', 'PartlyFailed', 'Failed'] as const;

export const backupPolicyStatus = z.strictObject({
  conditions: conditions().optional(),
  observedGeneration: count().optional(),
  ...scheduleStatusShape(runResults),
  lastSizeBytes: bytes()
    .optional()
    .meta({ description: 'Plain size of the last successful run; the estimate of the next.' }),
  repairs: z
    .array(repairStatus())
    .max(maxDestinations)
    .optional()
    .meta({
      description: 'What repair did at each destination.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['location'],
    }),
  prunes: z
    .array(retentionStatus())
    .max(maxDestinations)
    .optional()
    .meta({
      description: 'What retention did at each destination that it is for.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['location'],
    }),
});

export type BackupPolicySpec = z.infer<typeof backupPolicySpec>;
export type BackupPolicyStatus = z.infer<typeof backupPolicyStatus>;
