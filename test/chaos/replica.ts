import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.ts';
import { startControllerProcess, type ControllerProcess } from '../servers/controller-process.ts';

/** One of the controllers: killed, it is started again, as by a Deployment. */
export interface Replica {
  readonly proxy: TcpProxy;
  /** What its clock is off, in milliseconds. */
  readonly clockFile: string;
  process(): ControllerProcess;
  restart(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  freeze(milliseconds: number): Promise<void>;
  /** How often a process ended by itself. */
  falls(): number;
  stop(): Promise<void>;
}

export async function startReplica(
  identity: string,
  folder: string,
  server: { readonly address: { readonly host: string; readonly port: number }; readonly kubeconfig: string },
): Promise<Replica> {
  const { host, port } = server.address;
  const proxy = await startTcpProxy(server.address);
  const clockFile = join(folder, `${identity}.clock`);
  const kubeconfig = join(folder, `${identity}.kubeconfig`);
  await writeFile(clockFile, '0');
  await writeFile(kubeconfig, server.kubeconfig.replaceAll(`${host}:${port}`, `${proxy.host}:${proxy.port}`), {
    mode: 0o600,
  });
  let falls = 0;
  let stops = false;
  const args = ['--max-runs', '50', '--max-runs-per-server', '50', '--max-restores', '20'];
  const start = async (): Promise<ControllerProcess> => {
    for (;;) {
      try {
        return await startControllerProcess({ identity, kubeconfig, clockFile, args });
      } catch (error) {
        if (stops) throw error;
        falls += 1;
        await delay(1000);
      }
    }
  };
  let current = await start();
  let wanted = false;
  const follow = (): void => {
    const watched = current;
    void watched.exitCode.then(async () => {
      if (wanted || stops || watched !== current) return;
      falls += 1;
      current = await start();
      follow();
    });
  };
  follow();
  return {
    proxy,
    clockFile,
    process: () => current,
    restart: async (signal) => {
      wanted = true;
      current.child.kill(signal);
      await Promise.race([current.exitCode, delay(20_000)]);
      current.child.kill('SIGKILL');
      await current.exitCode;
      current = await start();
      wanted = false;
      follow();
    },
    freeze: async (milliseconds) => {
      const { child } = current;
      child.kill('SIGSTOP');
      await delay(milliseconds);
      child.kill('SIGCONT');
    },
    falls: () => falls,
    stop: async () => {
      stops = true;
      current.child.kill('SIGKILL');
      await current.exitCode;
      await proxy.stop();
    },
  };
}
