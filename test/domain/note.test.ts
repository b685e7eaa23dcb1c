import { expect, test } from 'vitest';
import { noteSum } from '../../src/api/notes.ts';
import { sumUpNotes, type NoteOf } from '../../src/domain/note.ts';

test('notes are told once for each reason, with the first of them and how many there are', () => {
  const notes: readonly NoteOf[] = [
    { reason: 'DumpWarned', message: 'circular foreign keys', count: 3, database: 'shop' },
    { reason: 'ProgramsOutdated', message: 'pg_dump 15.18 is older than the server, 15.20' },
    { reason: 'DumpWarned', message: 'others', database: 'crm' },
    { reason: 'DumpWarned', message: 'more of it', database: 'shop' },
  ];
  expect(sumUpNotes(notes)).toEqual([
    { reason: 'ProgramsOutdated', count: 1, message: 'pg_dump 15.18 is older than the server, 15.20' },
    { reason: 'DumpWarned', count: 5, message: 'database "shop": circular foreign keys (and 1 more database)' },
  ]);
});

test('ten thousand databases with endless messages are told in what a status takes', () => {
  const notes = Array.from({ length: 10_000 }, (_, index): NoteOf => ({
    reason: 'DumpWarned',
    message: '🐘'.repeat(5_000),
    database: `db-${index}`,
  }));
  const [sum, ...others] = sumUpNotes(notes);
  expect(others).toEqual([]);
  expect(noteSum().safeParse(sum).success).toBe(true);
  expect(sum?.count).toBe(10_000);
  expect(sum?.message).toMatch(/and 9999 more databases\)$/);
  expect(sum?.message?.isWellFormed()).toBe(true);
});
