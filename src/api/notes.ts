import { z } from 'zod';

/** Why a good backup has something to say: reasons of notes, which are no failures. */
export const noteReasons = {
  ProgramsOutdated:
    'The image’s pg_dump is of an older minor version than the server: what that version repaired may be missing in the dump. Use a newer image.',
  OptionsLeftOut:
    'The server keeps an internal option with columns that this pg_dump writes and most servers refuse: it was left out of the archive. A newer image does so by itself.',
  DumpWarned: 'pg_dump warned of something; the message has its first warning, the log of the pod has all of them.',
  LargeObjectsLeftOut:
    'The database has large objects, and pg_dump leaves them out when it is narrowed to schemas or tables. Set dump.largeObjects: true, or leave them out knowingly with false.',
  UnloggedTablesEmpty:
    'The server is a standby, where unlogged tables cannot be read: their rows are not in the backup. Back up the primary if they count.',
  FactsMissing:
    'Something about a database beside its content (comment, settings, extensions …) could not be read and is not in the manifest; the dump is whole.',
  EventTriggersActive:
    'The database has event triggers for logins that this user may not switch off: they ran at each session of the backup.',
  DamageHidden:
    'zero_damaged_pages or ignore_checksum_failure is on for this user, who may not switch it off: rows on damaged pages would be missing in the dump without an error. Reset it for the server, the database or the role, or grant SET on it.',
  DatabaseSkipped:
    'A database that was found (databases.all) is not in the backup: it vanished, lets nobody in, got a name that is not backed up, or is what a restore replaced and kept (keepPrevious). Exclude it if that is meant to stay so.',
  DatabaseRenamed:
    'A database got another name while the run went on, and is in the backup under the new one; or another one took its name (a restore that replaced it), and that one is in the backup.',
} as const satisfies Record<string, string>;

export type NoteReason = keyof typeof noteReasons;
export const noteReasonNames = Object.keys(noteReasons) as [NoteReason, ...NoteReason[]];

/** All notes of one reason, as a status and a verdict tell them. */
export const noteSum = () =>
  z.strictObject({
    reason: z.enum(noteReasonNames),
    count: z.int().min(0).meta({ format: 'int64', description: 'How many there were.' }),
    message: z.string().max(1024).optional().meta({ description: 'The first of them.' }),
  });
export type NoteSum = z.infer<ReturnType<typeof noteSum>>;
