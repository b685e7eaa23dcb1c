import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { restoredSource } from '../../src/api/restore-spec.ts';
import { fitSource } from '../../src/domain/fit-source.ts';
import {
  cleanupVerdict,
  parseVerdict,
  resultLine,
  restoreVerdict,
  verdictMaxBytes,
  type CleanupVerdict,
} from '../../src/domain/report.ts';
import { parseRestoreSeal, printRestoreSeal, sealKinds } from '../../src/domain/restore-seal.ts';
import { makeSeal, openSeal, sealKeyOf } from '../../src/postgres/database-seal.ts';
import { failureReasonNames } from '../../src/api/reasons.ts';
import { Failure } from '../../src/api/failure.ts';
import { printVerdict } from '../../src/runner/print-verdict.ts';
import { openReportLines } from '../../src/runner/report-lines.ts';
import { judgeFailed, judgeRestored, tellDatabase } from '../../src/runner/restore/tell/restore-verdict.ts';
import { redactor } from '../../src/support/redaction.ts';

/** Of any characters, mostly longer than a reader takes. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc
    .tuple(fc.constantFrom('x', 'é', '🐘', '\u0001', '"', '\\', '\n'), fc.integer({ min: 0, max: 3000 }))
    .map(([unit, times]) => unit.repeat(times)),
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const size = fc.maxSafeNat();
const source = fc.record(
  {
    location: text,
    backup: text,
    backupUid: text,
    key: text,
    bytes: size,
    modifiedAt: fc.oneof(fc.constant('2026-01-01T00:00:00.000Z'), text),
    tag: text,
    format: fc.constantFrom('Custom', 'Directory', 'Tar', 'Sql', 'Dumpall'),
    member: text,
  },
  { requiredKeys: [] },
);
const totals = fc.record({
  attempt: fc.constant('a1b2c3d4'),
  startedAt: fc.constant('2026-01-01T00:00:00.000Z'),
  completedAt: fc.constant('2026-01-01T00:00:00.000Z'),
  source: optional(source),
  readBytes: size,
  plainBytes: size,
  resultLines: size,
});
const outcome = fc.constantFrom('Restored', 'Untouched', 'Changed');
const failure = fc
  .record({ reason: fc.constantFrom(...failureReasonNames), message: text, hint: text })
  .map(({ reason, message, hint }) => new Failure(reason, message, { hint }));

describe('Whatever a stranger called his files, what a runner prints is read again:', () => {
  test('verdicts of restores, with what became of the target', () => {
    fc.assert(
      fc.property(totals, outcome, optional(failure), (told, target, failed) => {
        const verdict = failed === undefined ? judgeRestored(told, target) : judgeFailed(told, target, failed);
        const printed = printVerdict(verdict, redactor());
        expect(Buffer.byteLength(printed)).toBeLessThanOrEqual(verdictMaxBytes);
        const read = parseVerdict(printed);
        expect(restoreVerdict.safeParse(read).success).toBe(true);
        expect(read).toMatchObject({ kind: 'restore', verdict: verdict.verdict, target, readBytes: told.readBytes });
        expect(
          restoredSource()
            .optional()
            .safeParse(read?.kind === 'restore' && read.source).success,
        ).toBe(read?.kind === 'restore');
      }),
    );
  });

  test('verdicts of cleanups, with any names of databases', () => {
    const dropped = fc.array(fc.string({ unit: 'binary', maxLength: 63 }), { maxLength: 20 });
    fc.assert(
      fc.property(dropped, optional(source), (names, from) => {
        const verdict: CleanupVerdict = {
          v: 1,
          kind: 'cleanup',
          verdict: 'Succeeded',
          target: 'Restored',
          ...(from === undefined ? {} : { source: fitSource(from) }),
          startedAt: '',
          completedAt: '',
          dropped: names,
          resultLines: 1,
        };
        const printed = printVerdict(verdict, redactor());
        expect(Buffer.byteLength(printed)).toBeLessThanOrEqual(verdictMaxBytes);
        expect(cleanupVerdict.safeParse(parseVerdict(printed)).success).toBe(true);
        expect(parseVerdict(printed)).toMatchObject({ verdict: 'Succeeded', target: 'Restored' });
      }),
    );
  });

  test('seals of a database', () => {
    const seal = fc.record({ is: fc.constantFrom(...sealKinds), previous: optional(text), source: optional(source) });
    const database = fc.record({ name: text, oid: fc.nat(0xffff_ffff).map(String) });
    const key = sealKeyOf('uid');
    fc.assert(
      fc.property(seal, database, (told, where) => {
        const read = openSeal(where, key, makeSeal(where, key, printRestoreSeal(told)));
        const found = parseRestoreSeal(read ?? '');
        expect(found).toMatchObject({ is: told.is });
        expect(found?.previous).toBe(told.previous);
        expect(found?.source).toEqual(told.source && fitSource(told.source));
      }),
    );
    for (const other of ['', '{', 'null', '{"v":2,"is":"loaded"}', '{"v":1,"is":"else"}']) {
      expect(parseRestoreSeal(other)).toBeUndefined();
    }
  });

  test('lines about each database', () => {
    const line = fc.record({
      source: optional(text),
      target: text,
      outcome,
      failure: optional(failure),
      previous: optional(text),
      notes: fc.array(text, { maxLength: 20 }),
      durationMilliseconds: optional(fc.double({ noNaN: true, min: 0, max: 1e12 })),
    });
    fc.assert(
      fc.property(line, (told) => {
        const written: unknown[] = [];
        const log = { info: (_: string, fields: object) => written.push(fields) };
        tellDatabase(openReportLines(log as unknown as Parameters<typeof openReportLines>[0]), told);
        expect(resultLine.safeParse(JSON.parse(JSON.stringify(written[0]))).success).toBe(true);
      }),
    );
  });
});

test('a source is cut, not refused, and never within a character; what fits stays as it is', () => {
  const long = {
    member: `${'x'.repeat(1023)}🐘`,
    tag: 'e'.repeat(300),
    key: 'dumps/shop.zip',
    bytes: 5,
    modifiedAt: 'soon',
  };
  expect(fitSource(long)).toEqual({ member: 'x'.repeat(1023), tag: 'e'.repeat(256), key: 'dumps/shop.zip', bytes: 5 });
});

test('a verdict that another version printed keeps its word although a name in it is too long', () => {
  const printed = JSON.stringify({
    ...judgeRestored(
      { attempt: 'a', startedAt: '', completedAt: '', readBytes: 0, plainBytes: 0, resultLines: 0 },
      'Restored',
    ),
    source: { member: 'm'.repeat(1130), invented: true },
  });
  expect(parseVerdict(printed)).toMatchObject({ target: 'Restored', source: { member: 'm'.repeat(1024) } });
});
