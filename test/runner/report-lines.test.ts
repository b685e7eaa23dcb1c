import { Writable } from 'node:stream';
import { transports } from 'winston';
import { expect, test } from 'vitest';
import { findProgress, findResults } from '../../src/domain/report.ts';
import { openReportLines } from '../../src/runner/report-lines.ts';
import { openLog } from '../../src/support/log.ts';
import { redactor } from '../../src/support/redaction.ts';

test('a password that is the name of a database, or a word of the protocol, does no harm to the lines; free text is redacted', async () => {
  const redact = redactor();
  for (const word of ['orders', 'result', 'progress', 'database', 'failed', 'info', 'ConnectionLost']) redact.add(word);
  let written = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.toString();
      done();
    },
  });
  const log = openLog({ level: 'info', redact, transport: new transports.Stream({ stream }) });
  const lines = openReportLines(log);
  lines.progress({ plainBytes: 5, bytesPerSecond: 1, database: 'orders', databasesDone: 0, databasesTotal: 1 });
  lines.result({
    kind: 'database',
    name: 'orders',
    outcome: 'failed',
    reason: 'ConnectionLost',
    detail: 'password orders is wrong',
  });
  await log.close();
  expect(findProgress(written)).toMatchObject({ database: 'orders', plainBytes: 5 });
  expect(findResults(written, lines.resultLines())).toEqual([
    {
      type: 'result',
      v: 1,
      kind: 'database',
      name: 'orders',
      outcome: 'failed',
      reason: 'ConnectionLost',
      detail: 'password *** is wrong',
    },
  ]);
});
