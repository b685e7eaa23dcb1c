import { Writable } from 'node:stream';
import { transports } from 'winston';
import { Failure } from '../../src/api/failure.ts';
import { findResults, type ResultLine } from '../../src/domain/report.ts';
import { openReportLines } from '../../src/runner/report-lines.ts';
import type { Workshop } from '../../src/runner/workshop.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { openLog } from '../../src/support/log.ts';
import { redactor } from '../../src/support/redaction.ts';

export interface TestWorkshop extends Workshop {
  /** Everything logged so far. */
  readonly written: () => string;
  readonly results: () => readonly ResultLine[];
}

/** A workshop whose places are handed in by name, and whose log is kept. */
export function workshopOf(storages: Readonly<Record<string, Storage>>, changes: Partial<Workshop> = {}): TestWorkshop {
  const redact = changes.redactor ?? redactor();
  let written = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.toString();
      done();
    },
  });
  const log = openLog({ level: 'debug', redact, transport: new transports.Stream({ stream }) });
  const lines = openReportLines(log);
  return {
    root: '/nonexistent',
    clock: systemClock,
    random: systemRandom,
    log,
    lines,
    redactor: redact,
    secrets: { read: async () => ({}) },
    programDirs: [],
    version: '0.0.0-test',
    attempt: 'a1b2c3d4',
    stallMilliseconds: 60_000,
    signal: new AbortController().signal,
    openLocation: async ({ name }) => {
      const storage = storages[name];
      if (storage === undefined) throw new Failure('StorageUnreachable', `nothing answers at ${name}`);
      return storage;
    },
    afterVerdict: () => undefined,
    ...changes,
    written: () => written,
    results: () => findResults(written, lines.resultLines()) ?? [],
  };
}
