import { redactor } from '../support/redaction.ts';
import { openLog } from '../support/log.ts';
import { programVersion } from '../support/version.ts';
import { runnerFiles } from '../domain/task.ts';
import { runTask } from '../runner/run.ts';
import { listProgramFolders } from './program-folders.ts';
import { readProxy } from './read-proxy.ts';
import type { CommandWorld } from './command-world.ts';

/** `pgbackup runner`: the one task below PGBACKUP_ROOT. */
export async function runRunner(world: CommandWorld): Promise<number> {
  const { clock, random, env, signal } = world;
  const redact = redactor();
  return runTask({
    root: env['PGBACKUP_ROOT'] ?? runnerFiles.root,
    terminationMessage: env['PGBACKUP_TERMINATION_MESSAGE'] ?? runnerFiles.terminationMessage,
    clock,
    random,
    log: openLog({ level: env['PGBACKUP_LOG_LEVEL'] === 'debug' ? 'debug' : 'info', redact }),
    redactor: redact,
    signal,
    programDirs: await listProgramFolders(env),
    proxy: readProxy(env, redact),
    version: programVersion,
  });
}
