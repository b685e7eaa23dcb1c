import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { findResults, parseVerdict } from '../../src/domain/report.ts';
import { parseRestoreSeal } from '../../src/domain/restore-seal.ts';
import { parseTask } from '../../src/domain/parse-task.ts';
import { openSeal, sealKeyOf } from '../../src/postgres/database-seal.ts';
import { replacedPattern, scratchPattern, sessionName } from '../../src/runner/restore/target/scratch-names.ts';

// What runners and controllers of an earlier version wrote, kept as it was: while it is upgraded, each meets the other's words.
const vectors = z
  .object({
    runs: z.array(
      z.object({
        what: z.string(),
        task: z.record(z.string(), z.unknown()),
        verdict: z.string(),
        lines: z.array(z.string()),
      }),
    ),
    left: z.object({
      uid: z.string(),
      database: z.object({ name: z.string(), oid: z.string() }),
      seal: z.string(),
      scratch: z.string(),
      replaced: z.string(),
      session: z.string(),
    }),
  })
  .parse(JSON.parse(await readFile(new URL('../golden/earlier-version.json', import.meta.url), 'utf8')));
const { left } = vectors;

test.each(vectors.runs)('$what of an earlier version is understood: its task, its verdict, and every line', (run) => {
  expect(parseTask(JSON.stringify(run.task))).toEqual(run.task);
  const verdict = parseVerdict(run.verdict);
  expect(JSON.parse(run.verdict)).toMatchObject(verdict ?? { verdict: 'read' });
  expect(Object.keys(verdict ?? {}).sort()).toEqual(Object.keys(JSON.parse(run.verdict) as object).sort());
  const results = run.lines.filter((line) => line.includes('"type":"result"'));
  const found = findResults(run.lines.join('\n'), verdict?.resultLines ?? -1);
  expect(found).toHaveLength(results.length);
  for (const [index, line] of (found ?? []).entries()) expect(JSON.parse(results[index] ?? '')).toMatchObject(line);
});

test('what a restore of an earlier version left at a server is found: its seal, its databases, its sessions', () => {
  const text = openSeal(left.database, sealKeyOf(left.uid), left.seal);
  expect(parseRestoreSeal(text ?? '')).toEqual({
    is: 'swapped',
    previous: 'shop_20260101t030000z',
    source: { location: 'near', backup: 'nightly-20260101t030000z' },
  });
  expect(left.scratch).toMatch(new RegExp(scratchPattern(left.uid)));
  expect(left.replaced).toMatch(new RegExp(replacedPattern(left.uid)));
  expect(left.session).toBe(sessionName(left.uid));
});

test.each(vectors.runs)(
  '$what that a later version asks for is refused in whole, by the names that are not known',
  (run) => {
    const later = (change: (task: Record<string, unknown>) => object): (() => unknown) => {
      return () => parseTask(JSON.stringify(change(structuredClone(run.task))));
    };
    expect(later((task) => ({ ...task, afterwards: true }))).toThrow(
      expect.objectContaining({
        reason: 'TaskInvalid',
        message: 'the task says what this image does not know: afterwards',
        hint: 'A newer controller wrote it. Let both be of one version: the controller’s --runner-image names the image of runners.',
      }),
    );
    expect(later((task) => ({ ...task, version: 2 }))).toThrow(
      expect.objectContaining({ reason: 'TaskInvalid', message: 'the task has version 2, this image knows 1' }),
    );
    expect(later((task) => ({ ...task, kind: 'rehearsal' }))).toThrow(
      expect.objectContaining({ reason: 'TaskInvalid', message: expect.stringContaining('kind') as string }),
    );
  },
);

test('what is not known is named with where it stands', () => {
  const task = vectors.runs.find(({ what }) => what === 'a restore')?.task;
  const options = z.looseObject({}).parse(task?.['options']);
  const changed = { ...task, options: { ...options, faster: 1, safer: 2 } };
  expect(() => parseTask(JSON.stringify(changed))).toThrow(
    expect.objectContaining({ message: 'the task says what this image does not know: options.faster, options.safer' }),
  );
});
