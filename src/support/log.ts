import { createLogger, format, transports } from 'winston';
import type Transport from 'winston-transport';
import { redactor, type Redactor } from './redaction.ts';

const levelSymbol = Symbol.for('level');

/** Constant message, fields beside it. JSON lines on stdout; every string passes the redactor first. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A log that adds these fields to every line. */
  with(fields: Readonly<Record<string, unknown>>): Log;
  /** Resolves when everything written so far has left the process. */
  close(): Promise<void>;
}

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** What must never be written (secrets register themselves here). */
  readonly redact?: Redactor;
  /** Where lines go; stdout if absent. */
  readonly transport?: Transport;
}

/** Lines go to a file; when it is full it is kept beside a new one, `files` in all. */
export function fileTransport(
  filename: string,
  options: { readonly maxBytes: number; readonly files: number },
): Transport {
  return new transports.File({ filename, maxsize: options.maxBytes, maxFiles: options.files, tailable: true });
}

export function openLog(options: LogOptions): Log {
  const redact = options.redact ?? redactor();
  const logger = createLogger({
    level: options.level,
    format: format.combine(
      format.timestamp(),
      // The level is winston's own word: a line whose level is blanked out would not be written at all.
      format((line) =>
        Object.assign(redact.value(line) as typeof line, { level: line.level, [levelSymbol]: line.level }),
      )(),
      format.json({ deterministic: false }),
    ),
    transports: [options.transport ?? new transports.Console({ forceConsole: false })],
  });
  const ended = new Promise<void>((resolve) => logger.once('finish', () => resolve()));
  const bind = (bound: Readonly<Record<string, unknown>>): Log => ({
    debug: (message, fields) => void logger.debug(message, { ...bound, ...fields }),
    info: (message, fields) => void logger.info(message, { ...bound, ...fields }),
    warn: (message, fields) => void logger.warn(message, { ...bound, ...fields }),
    error: (message, fields) => void logger.error(message, { ...bound, ...fields }),
    with: (fields) => bind({ ...bound, ...fields }),
    close: async () => {
      logger.end();
      await ended;
    },
  });
  return bind({});
}

/** A log that says nothing, for tests of other things. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLog,
  close: async () => undefined,
};
