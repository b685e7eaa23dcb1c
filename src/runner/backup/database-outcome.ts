import type { Failure } from '../../api/failure.ts';
import { noteReasonNames } from '../../api/notes.ts';
import type { DatabaseFacts, ManifestArtifact, ManifestDatabase } from '../../domain/manifest.ts';
import type { Note } from '../../domain/note.ts';
import type { Redactor } from '../../support/redaction.ts';
import type { Result } from '../report-lines.ts';

interface Timed {
  readonly name: string;
  readonly startedAt: string;
  readonly completedAt: string;
  readonly durationMilliseconds: number;
}

/** How one database of a run ended. */
export type DatabaseOutcome =
  | (Timed & {
      readonly outcome: 'stored';
      readonly artifact: ManifestArtifact;
      readonly facts: DatabaseFacts;
      readonly notes: readonly Note[];
    })
  | (Timed & { readonly outcome: 'failed'; readonly failure: Failure })
  | (Timed & { readonly outcome: 'skipped'; readonly why: string });

export function describeInManifest(ended: DatabaseOutcome, redactor: Redactor): ManifestDatabase {
  const { name, startedAt, completedAt } = ended;
  switch (ended.outcome) {
    case 'stored':
      return {
        name,
        outcome: 'stored',
        artifacts: [ended.artifact],
        facts: ended.facts,
        ...describeNotes(ended.notes, redactor),
        startedAt,
        completedAt,
      };
    case 'failed':
      return {
        name,
        outcome: 'failed',
        reason: ended.failure.reason,
        message: redactor.text(sayFailure(ended.failure)),
        artifacts: [],
        startedAt,
        completedAt,
      };
    default: {
      const message = redactor.text(ended.why);
      const notes = [{ reason: 'DatabaseSkipped', message }];
      return { name, outcome: 'skipped', message, artifacts: [], notes, startedAt, completedAt };
    }
  }
}

/** With the way out, if there is one. */
export function sayFailure({ message, hint }: Failure): string {
  return hint === undefined ? message : `${message}; ${hint}`;
}

/** As a manifest has them; absent when there are none. */
export function describeNotes(
  notes: readonly Note[],
  redactor: Redactor,
): { readonly notes?: { reason: string; message: string; count?: number }[] } {
  if (notes.length === 0) return {};
  return { notes: notes.map((note) => ({ ...note, message: redactor.text(note.message) })) };
}

/** Of a manifest; reasons that this version does not know are left out. */
export function readNotes(notes: ManifestDatabase['notes']): readonly Note[] {
  return (notes ?? []).flatMap(({ reason, message, count }) => {
    const known = noteReasonNames.find((name) => name === reason);
    return known === undefined ? [] : [{ reason: known, message, ...(count === undefined ? {} : { count }) }];
  });
}

export function describeInLog(ended: DatabaseOutcome): Result {
  const { name, outcome, durationMilliseconds } = ended;
  const line = { kind: 'database', name, outcome, durationMilliseconds: Math.round(durationMilliseconds) } as const;
  switch (ended.outcome) {
    case 'stored': {
      const { plain, stored } = ended.artifact;
      return { ...line, plainBytes: plain.bytes, storedBytes: stored.bytes };
    }
    case 'failed':
      return { ...line, reason: ended.failure.reason, detail: sayFailure(ended.failure) };
    default:
      return { ...line, detail: ended.why };
  }
}

/** Details of a backup that an earlier try stored. */
export function describeAdopted(database: ManifestDatabase): Result {
  const sum = (digest: 'plain' | 'stored'): number =>
    database.artifacts.reduce((bytes, artifact) => bytes + artifact[digest].bytes, 0);
  return {
    kind: 'database',
    name: database.name,
    outcome: database.outcome,
    ...(database.outcome === 'failed' ? { reason: database.reason ?? 'DumpFailed' } : {}),
    ...(database.message === undefined ? {} : { detail: database.message }),
    ...(database.outcome === 'stored' ? { plainBytes: sum('plain'), storedBytes: sum('stored') } : {}),
  };
}
