import { z } from 'zod';
import {
  bytes,
  conditions,
  count,
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
  }),
  transitionRule(
    'self == oldSelf',
    (now, old) => JSON.stringify(now) === JSON.stringify(old),
    'the spec of a Backup is immutable',
  ),
);

export const destinationOutcomes = ['Stored', 'Failed', 'Found', 'Missing'] as const;

export const destinationStatus = () =>
  z.strictObject({
    location: z.string().max(63),
    required: z.boolean().optional(),
    outcome: z.enum(destinationOutcomes).meta({
      description:
        'Found: seen there later by an inspection. Missing: it was there, and an inspection that read all there is did not find it any more.',
    }),
    missingSince: timestamp().optional().meta({ description: 'With Missing: when that was noticed.' }),
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
