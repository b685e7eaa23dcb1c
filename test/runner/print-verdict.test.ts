import { expect, test } from 'vitest';
import { noteReasonNames } from '../../src/api/notes.ts';
import { parseVerdict, verdictMaxBytes, type BackupVerdict } from '../../src/domain/report.ts';
import { printVerdict } from '../../src/runner/print-verdict.ts';
import { redactor } from '../../src/support/redaction.ts';

function verdictWith(message: string, destinations: number): BackupVerdict {
  return {
    v: 1,
    kind: 'backup',
    verdict: 'PartlyFailed',
    reason: 'DestinationFailed',
    message,
    hint: message,
    attempt: 'a1b2c3d4',
    startedAt: '2026-01-01T03:00:00.000Z',
    completedAt: '2026-01-01T03:10:00.000Z',
    plainBytes: Number.MAX_SAFE_INTEGER,
    storedBytes: Number.MAX_SAFE_INTEGER,
    destinations: Array.from({ length: destinations }, (_, index) => ({
      location: `${index}`.padEnd(40, 'x'),
      outcome: 'Stored' as const,
      reason: 'StorageCredentialsInvalid' as const,
      message,
      bytes: Number.MAX_SAFE_INTEGER,
      manifestSha256: 'f'.repeat(64),
    })),
    resultLines: 500,
  };
}

test.each([
  ['plain text', 'connection refused '.repeat(500)],
  ['characters of four bytes', '🐘'.repeat(5_000)],
  ['characters that JSON writes as six bytes', '\u0001'.repeat(5_000)],
  ['Cyrillic', 'ошибка '.repeat(1_000)],
])('a verdict with eight destinations and endless messages of %s fits and stays readable', (_, message) => {
  const notes = noteReasonNames.map((reason) => ({ reason, count: Number.MAX_SAFE_INTEGER, message }));
  const text = printVerdict({ ...verdictWith(message, 8), notes }, redactor());
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(verdictMaxBytes);
  const read = parseVerdict(text);
  expect(read).toMatchObject({ verdict: 'PartlyFailed', reason: 'DestinationFailed', resultLines: 500 });
  expect(read?.kind === 'backup' && read.destinations.length).toBe(8);
  expect(read?.kind === 'backup' && read.notes?.map(({ reason }) => reason)).toEqual(noteReasonNames);
  expect(text.isWellFormed()).toBe(true);
  expect(read?.message?.length ?? 0).toBeGreaterThan(10);
});

test('messages of destinations have at most 120 characters, and short ones stay whole', () => {
  const read = parseVerdict(printVerdict(verdictWith('é'.repeat(300), 1), redactor()));
  expect(read?.message).toBe('é'.repeat(300));
  expect(read?.kind === 'backup' && read.destinations[0]?.message).toBe(`${'é'.repeat(119)}…`);
});

test('free texts are redacted before they are cut; facts that look like a secret stay', () => {
  const redact = redactor();
  redact.add('backup');
  redact.add('0xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx');
  redact.add('S'.repeat(200));
  const text = printVerdict(verdictWith(`backup ${'S'.repeat(200)}`, 1), redact);
  const read = parseVerdict(text);
  expect(read?.message).toBe('*** ***');
  expect(read?.kind).toBe('backup');
  expect(read?.kind === 'backup' && read.destinations[0]?.location).toBe('0'.padEnd(40, 'x'));
  expect(text).not.toContain('SSSS');
});
