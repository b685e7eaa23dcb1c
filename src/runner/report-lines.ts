import { reportVersion, type ProgressLine, type ResultLine } from '../domain/report.ts';
import type { Log } from '../support/log.ts';
import { Verbatim } from '../support/redaction.ts';

type WithoutEnvelope<T> = T extends unknown ? Omit<T, 'type' | 'v'> : never;
export type Progress = WithoutEnvelope<ProgressLine>;
export type Result = WithoutEnvelope<ResultLine>;

export interface ReportLines {
  progress(line: Progress): void;
  result(line: Result): void;
  /** Result lines so far, and their bytes (about). */
  resultLines(): number;
  resultBytes(): number;
}

/** Lines for the controller in the log. Facts stay verbatim; `detail` is free text and passes the redactor. */
export function openReportLines(log: Log): ReportLines {
  let lines = 0;
  let bytes = 0;
  return {
    progress: (line) => log.info('progress', envelope('progress', line)),
    result: (line) => {
      lines += 1;
      bytes += Buffer.byteLength(JSON.stringify(line)) + 100;
      log.info('result', envelope('result', line));
    },
    resultLines: () => lines,
    resultBytes: () => bytes,
  };
}

function envelope(type: string, line: Progress | Result): Readonly<Record<string, unknown>> {
  const fields: Record<string, unknown> = { type: new Verbatim(type), v: reportVersion };
  for (const [name, value] of Object.entries(line)) {
    if (value !== undefined) fields[name] = name === 'detail' ? value : new Verbatim(value);
  }
  return fields;
}
