import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { KubeNode } from '../servers/kube-node.ts';

/** What Succeeded of a Backup (or RestoreRequest) said, and when that was seen. */
export interface DiaryEntry {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** Since the object was made; its time has whole seconds only. */
  readonly seconds: number;
}

/** Notes whatever the Backups (or RestoreRequests) of a cluster say, as `kubectl get --watch` shows it. */
export interface BackupDiary {
  /** Oldest first; one entry for each change of status or reason, with the last message. */
  entries(namespace: string, name: string): readonly DiaryEntry[];
  /**
   * The first entry with one of these reasons, seen already or still to come.
   * @throws Error with all that was said, `seconds` after the call
   */
  hear(namespace: string, name: string, reasons: readonly string[], seconds?: number): Promise<DiaryEntry>;
  stop(): Promise<void>;
}

interface Line {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly creationTimestamp: string };
  readonly status?: {
    readonly conditions?: readonly (Omit<DiaryEntry, 'seconds'> & { readonly type: string })[];
  };
}

/** From now on; the definition must be there. `type`: `pgrr` for RestoreRequests. */
export function keepBackupDiary(
  node: Pick<KubeNode, 'kubeconfig' | 'kubectlPath' | 'folder'>,
  type: 'pgb' | 'pgrr' = 'pgb',
): BackupDiary {
  const diaries = new Map<string, DiaryEntry[]>();
  const listeners = new Set<() => void>();
  const args = ['--kubeconfig', node.kubeconfig, 'get', type, '-A', '--watch', '-o', 'jsonpath={@}{"\\n"}'];
  // It keeps what it learns below its home.
  const env = { PATH: '/usr/bin:/bin', HOME: node.folder };
  const child = spawn(node.kubectlPath, args, { stdio: ['ignore', 'pipe', 'ignore'], env });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));

  createInterface(child.stdout).on('line', (line) => {
    const { metadata, status } = JSON.parse(line) as Line;
    const succeeded = status?.conditions?.find(({ type }) => type === 'Succeeded');
    if (succeeded === undefined) return;
    const key = `${metadata.namespace}/${metadata.name}`;
    const entries = diaries.get(key) ?? [];
    diaries.set(key, entries);
    const last = entries.at(-1);
    const isSame = last?.status === succeeded.status && last.reason === succeeded.reason;
    const seconds = isSame ? last.seconds : (Date.now() - Date.parse(metadata.creationTimestamp)) / 1000;
    if (isSame) entries.pop();
    entries.push({ status: succeeded.status, reason: succeeded.reason, message: succeeded.message, seconds });
    for (const listener of listeners) listener();
  });

  const entriesOf = (namespace: string, name: string): readonly DiaryEntry[] =>
    diaries.get(`${namespace}/${name}`) ?? [];
  return {
    entries: entriesOf,
    hear: async (namespace, name, reasons, seconds = 60) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = entriesOf(namespace, name).find(({ reason }) => reasons.includes(reason));
          if (found === undefined) return;
          clearTimeout(timer);
          listeners.delete(look);
          resolve(found);
        };
        const timer = setTimeout(() => {
          listeners.delete(look);
          const said = JSON.stringify(entriesOf(namespace, name));
          reject(new Error(`${namespace}/${name} did not say ${reasons.join(' or ')} within ${seconds} s: ${said}`));
        }, seconds * 1000);
        listeners.add(look);
        look();
      }),
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}
