import { z } from 'zod';
import {
  bytes,
  conditions,
  count,
  deletionPolicy,
  failedTries,
  failureReason,
  objectName,
  policyNameMaxLength,
  postgresName,
  progressShape,
  rebuilt,
  sha256Hex,
  shortText,
  sizeText,
  timestamp,
} from './parts.ts';
import { noteReasonNames, noteSum } from './notes.ts';
import { maxDatabases, maxDestinations } from './backup-policy.ts';
import { transitionRule, withRules } from './rules.ts';

const identityMembers = ['policy', 'slot', 'import'] as const;
/** As CEL spells a member whose name is a word of its own. */
const inCel = (name: string): string => (name === 'import' ? '__import__' : name);
type BackupIdentity = Readonly<Partial<Record<(typeof identityMembers)[number], unknown>>>;

export const backupSpec = withRules(
  z.strictObject({
    policy: objectName(policyNameMaxLength).meta({ description: 'The BackupPolicy that says what and where.' }),
    slot: timestamp().optional().meta({
      description: 'The scheduled time that this run is for (of a found backup: was for). Absent on manual backups.',
    }),
    import: z
      .strictObject({
        location: objectName(policyNameMaxLength).meta({ description: 'The BackupLocation where it was found.' }),
        key: z.string().min(1).max(1024).meta({ description: 'Key of its manifest, below the location’s prefix.' }),
      })
      .optional()
      .meta({ description: 'This object stands for a backup that was found in a location; it never runs.' }),
    deletionPolicy: deletionPolicy().meta({
      description:
        'Retain: deleting this object leaves its data, and the next inspection shows it again. Delete: it takes its data along, at every place.',
    }),
  }),
  transitionRule<BackupIdentity>(
    identityMembers
      .map(inCel)
      .map(
        (name) =>
          `has(self.${name}) == has(oldSelf.${name}) && (!has(self.${name}) || self.${name} == oldSelf.${name})`,
      )
      .join(' && '),
    (now, old) => identityMembers.every((name) => JSON.stringify(now[name]) === JSON.stringify(old[name])),
    'the spec of a Backup is immutable, but for deletionPolicy',
  ),
);

export const destinationOutcomes = ['Stored', 'Failed', 'Found', 'Missing', 'Removed'] as const;
/** Whether there is a copy, as far as is known. Words of later versions promise none. */
export const isCopy = ({ outcome }: { readonly outcome: string }): boolean =>
  outcome === 'Stored' || outcome === 'Found';

export const destinationStatus = () =>
  z.strictObject({
    location: z.string().max(63),
    required: z.boolean().optional(),
    outcome: z.enum(destinationOutcomes).meta({
      description:
        'Found: seen there later by an inspection. Missing: it was there, and an inspection that read all there is did not find it any more. ' +
        'Removed: by retention, or with the deletion of its object.',
    }),
    missingSince: timestamp().optional().meta({ description: 'With Missing: when that was noticed.' }),
    removedAt: timestamp().optional().meta({ description: 'With Removed: when that was heard.' }),
    reason: failureReason().optional(),
    message: shortText().optional(),
    bytes: bytes().optional().meta({ description: 'Bytes stored there, manifest and all.' }),
    readBackBytes: bytes()
      .optional()
      .meta({ description: 'Bytes that the run read back there and compared; absent when the place proved itself.' }),
    manifestKey: z.string().max(1024).optional(),
    manifestSha256: sha256Hex().optional(),
    listed: z.string().max(16).optional().meta({
      description:
        'How its manifest looked in the listing when an inspection read it (size, time, tag; hashed): while it looks so, it is not read again.',
    }),
  });

export const backupStatus = z.strictObject({
  conditions: conditions().optional(),
  observedGeneration: count().optional(),
  phase: z
    .enum(['Pending', 'Queued', 'Running', 'Succeeded', 'PartlyFailed', 'Failed'])
    .optional()
    .meta({ description: 'For people; computed from Succeeded.' }),
  job: z.string().max(63).optional().meta({ description: 'The Job that does it.' }),
  rebuilt: rebuilt().optional(),
  failedTries: failedTries().optional(),
  startedAt: timestamp().optional(),
  completedAt: timestamp().optional(),
  attempt: z.string().max(16).optional().meta({ description: 'The try whose bytes are stored.' }),
  plainBytes: bytes().optional().meta({ description: 'Bytes that pg_dump wrote.' }),
  storedBytes: bytes().optional().meta({ description: 'Bytes of one copy, compressed.' }),
  plainSize: sizeText().optional().meta({ description: 'plainBytes for people.' }),
  storedSize: sizeText().optional().meta({ description: 'storedBytes for people.' }),
  progress: z
    .strictObject({
      ...progressShape,
    })
    .optional()
    .meta({ description: 'While it runs; seen in the pod’s log.' }),
  destinations: z
    .array(destinationStatus())
    .max(maxDestinations)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['location'] }),
  copies: z
    .string()
    .max(16)
    .optional()
    .meta({ description: 'For people: how many of the destinations hold it, such as 2/3.' }),
  databases: z
    .strictObject({
      stored: z.array(postgresName()).max(maxDatabases),
      failed: z
        .array(z.strictObject({ name: postgresName(), reason: failureReason(), message: shortText().optional() }))
        .max(maxDatabases),
    })
    .optional()
    .meta({ description: 'Absent when the details could not be read; the manifest has them.' }),
  notes: z
    .array(noteSum())
    .max(noteReasonNames.length)
    .optional()
    .meta({
      description: 'What a good backup has to say about itself, by reason; details are in the manifest.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['reason'],
    }),
});

export type BackupSpec = z.infer<typeof backupSpec>;
export type BackupStatus = z.infer<typeof backupStatus>;
export type BackupPhase = NonNullable<BackupStatus['phase']>;
export type DestinationStatus = z.infer<ReturnType<typeof destinationStatus>>;
