import { noteReasonNames, type NoteReason, type NoteSum } from '../api/notes.ts';

/** What a good backup has to say about itself. */
export interface Note {
  readonly reason: NoteReason;
  readonly message: string;
  /** How many things it stands for; one if absent. */
  readonly count?: number;
}

/** Notes with the database they are about; without one, about the whole run. */
export type NoteOf = Note & { readonly database?: string };

/** In characters; the manifest has all of it. */
const longestMessage = 300;

/** One for each reason, in the order of the catalogue: bounded, however many databases there are. */
export function sumUpNotes(notes: readonly NoteOf[]): readonly NoteSum[] {
  return noteReasonNames.flatMap((reason) => {
    const [first, ...rest] = notes.filter((note) => note.reason === reason);
    if (first === undefined) return [];
    const count = [first, ...rest].reduce((sum, note) => sum + (note.count ?? 1), 0);
    const about = first.database === undefined ? '' : `database "${first.database}": `;
    const others = new Set(rest.flatMap(({ database }) => database ?? []));
    others.delete(first.database ?? '');
    const more = others.size === 0 ? '' : ` (and ${others.size} more ${others.size === 1 ? 'database' : 'databases'})`;
    return [{ reason, count, message: `${about}${cut(first.message)}${more}` }];
  });
}

function cut(message: string): string {
  const characters = Array.from(message.slice(0, 2 * longestMessage + 2));
  return characters.length <= longestMessage ? message : `${characters.slice(0, longestMessage - 1).join('')}…`;
}
