import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whyNoKubeApiserver } from '../test/servers/kube-apiserver.ts';
import { startController, type ControllerProcess } from './controller-process.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { openOwned } from './owned.ts';

/** A control plane of its own, and our controller when it is asked for. */
export interface Stand {
  readonly plane: ControlPlane;
  readonly startController: (options: {
    readonly main: string;
    readonly runs: number;
    /** Default: a file that goes with everything else. */
    readonly logPath: string | undefined;
  }) => Promise<ControllerProcess>;
}

/** Runs a benchmark there, and ends everything. Says what is missing, and exits with 1, where there are no programs for it. */
export async function onControlPlane(work: (stand: Stand) => Promise<void>): Promise<void> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const missing = whyNoKubeApiserver(assets, 'kube-controller-manager');
  if (assets === undefined || missing !== undefined) {
    process.stdout.write(`${missing ?? 'KUBEBUILDER_ASSETS is not set'}\n`);
    process.exitCode = 1;
    return;
  }
  const owned = openOwned();
  try {
    const folder = await mkdtemp(join(tmpdir(), 'pgbackup-bench-'));
    owned.defer(async () => rm(folder, { recursive: true, force: true }));
    const plane = await startControlPlane(assets);
    owned.defer(async () => plane.stop());
    await work({
      plane,
      startController: async ({ main, runs, logPath = join(folder, 'controller.log') }) => {
        const { kubeconfigPath } = plane;
        const accountFolder = join(folder, 'account');
        const controller = await startController({ main, kubeconfigPath, runs, logPath, accountFolder });
        owned.defer(async () => controller.stop());
        return controller;
      },
    });
  } finally {
    await owned.disposeAsync();
  }
}
