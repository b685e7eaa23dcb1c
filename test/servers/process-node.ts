import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isKubeError, type KubeClient } from '../../src/kube/client.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { startExecutor } from '../../src/local/executor.ts';
import { registerNode, removePodFrom } from '../../src/local/node.ts';
import { podType, type Pod } from '../../src/local/workload-types.ts';
import { systemClock, systemRandom } from '../../src/support/clock.ts';
import { silentLog } from '../../src/support/log.ts';
import { makeAuthority } from './certificates.ts';
import { compileCache } from '../compile-cache.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const bindingType = { group: '', version: 'v1', kind: 'Binding', plural: 'bindings', namespaced: true } as const;
const never = new AbortController().signal;

export interface ProcessNode {
  stop(): Promise<void>;
}

/**
 * A Node of a real API server whose pods are processes on this machine, and the scheduler that binds every pod to it. `folder` is an
 * empty one of its own.
 */
export async function startProcessNode(client: KubeClient, folder: string, binDir: string): Promise<ProcessNode> {
  const ending = new AbortController();
  const common = { client, clock: systemClock, random: systemRandom };
  const name = 'here';
  const executor = startExecutor(
    {
      ...common,
      log: silentLog,
      folder: join(folder, 'pods'),
      nodeName: name,
      command: [process.execPath, main],
      env: { ...compileCache, PATH: '/usr/bin:/bin', PGBACKUP_PROGRAMS: binDir },
      removePod: removePodFrom(client),
    },
    ending.signal,
  );
  const authority = await makeAuthority(join(folder, 'ca'));
  const { certFile, keyFile } = await authority.issue({ host: '127.0.0.1' });
  const node = await registerNode(
    {
      ...common,
      name,
      address: '127.0.0.1',
      tls: { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') },
      readLog: executor.readLog,
    },
    ending.signal,
  );
  const work: Promise<unknown>[] = [executor.done];
  // A scheduler with one idea.
  const bind = async (pod: Pod): Promise<void> => {
    const metadata = { name: pod.metadata.name ?? '', namespace: pod.metadata.namespace ?? '' };
    const target = { apiVersion: 'v1', kind: 'Node', name };
    await client
      .create(bindingType, { apiVersion: 'v1', kind: 'Binding', metadata, target }, never)
      .catch((error: unknown) => {
        if (!isKubeError(error)) throw error;
      });
  };
  const unbound = createInformer({
    ...common,
    type: podType,
    onChange: ({ object }) => {
      const pod = object as Pod | undefined;
      if (pod !== undefined && pod.spec.nodeName === undefined) work.push(bind(pod));
    },
  });
  work.push(unbound.run(ending.signal));
  return {
    stop: async () => {
      ending.abort();
      await Promise.all(work);
      await node.close();
    },
  };
}
