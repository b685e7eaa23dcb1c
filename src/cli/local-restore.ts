import { join } from 'node:path';
import { chooseRestores } from '../local/choose-restores.ts';
import { runRestore } from '../local/run-restore.ts';
import type { LocalRestoreOptions } from './local-restore-options.ts';
import { loadFiles, prepareLocal } from './prepare-local.ts';
import { print } from './print.ts';
import type { CommandWorld } from './command-world.ts';

/** `pgbackup local restore`: see chooseRestores and runRestore. */
export async function runLocalRestore(
  world: CommandWorld,
  paths: readonly string[],
  options: LocalRestoreOptions,
): Promise<number> {
  const { clock, env, stderr } = world;
  const objects = await loadFiles(world, paths);
  if (options.list) {
    const { listLocations } = await import('./list-locations.ts');
    return listLocations(world, objects, options);
  }
  const choice = chooseRestores(objects, options.flags, env, clock.nowMs());
  if (options.print) {
    const { stringify } = await import('yaml');
    return await print(choice.requests.map(({ object }) => stringify(object)).join('---\n'), world);
  }
  const { operator: common, log, logFile, stateDir, ...output } = await prepareLocal(world, options);
  try {
    const exitCode = await runRestore(
      {
        ...common,
        ...output,
        choice,
        onStart: (operator) =>
          world.onForce(() => {
            operator.kill();
            stderr.write('killed; what it may have left is cleared up at the next start with these files\n');
          }),
      },
      world.signal,
    );
    if (exitCode !== 0) stderr.write(`logs of what failed: ${join(stateDir, 'failed')}; of the operator: ${logFile}\n`);
    return exitCode;
  } finally {
    await log.close();
  }
}
