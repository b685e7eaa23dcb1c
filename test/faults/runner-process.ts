import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { openLog } from '../../src/support/log.ts';
import { redactor } from '../../src/support/redaction.ts';
import { lyingFolder } from './lying-folder.ts';
import { runTask } from '../../src/runner/run.ts';

// `pgbackup runner` with a small limit for places that stall (five minutes are too long for a test), and with directories that lie.

const { env } = process;
const redact = redactor();
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.exit(
  await runTask({
    root: env['PGBACKUP_ROOT'] ?? '',
    terminationMessage: env['PGBACKUP_TERMINATION_MESSAGE'] ?? '',
    clock: systemClock,
    random: systemRandom,
    log: openLog({ level: 'info', redact }),
    redactor: redact,
    signal: stop.signal,
    programDirs: (env['PGBACKUP_PROGRAMS'] ?? '').split(':'),
    version: '0.0.0-test',
    stallMilliseconds: 10_000,
    decorate: (storage) => lyingFolder(storage),
  }),
);
