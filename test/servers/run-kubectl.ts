import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { KubeApiserver } from './kube-apiserver.ts';

export interface KubectlEnd {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `kubectl ARGS` as the administrator of a server, to its end, however that is. `stdin`: for `-f -`. */
export async function askKubectl(
  assets: string,
  { kubeconfigPath, folder }: Pick<KubeApiserver, 'kubeconfigPath' | 'folder'>,
  args: readonly string[],
  stdin = '',
): Promise<KubectlEnd> {
  const env = { PATH: '/usr/bin:/bin', HOME: folder, KUBECONFIG: kubeconfigPath };
  const child = spawn(join(assets, 'kubectl'), args, { env });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  // It may end without having read all.
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const [exitCode, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { exitCode, stdout, stderr };
}

/** The same, for what must succeed. @returns stdout @throws Error with what it said */
export async function runKubectl(...call: Parameters<typeof askKubectl>): Promise<string> {
  const { exitCode, stdout, stderr } = await askKubectl(...call);
  if (exitCode !== 0) throw new Error(`kubectl ${call[2].join(' ')} ended with ${exitCode}: ${stderr}${stdout}`);
  return stdout;
}
