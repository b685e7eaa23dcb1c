import type { Backup } from '../../src/api/kinds.ts';

/** A Backup as the controller shows it. */
export function backup(
  name: string,
  succeeded: readonly ['True' | 'False' | 'Unknown', string, string?],
  status: Backup['status'] = {},
): Backup {
  const [value, reason, message = ''] = succeeded;
  const conditions = [
    { type: 'Succeeded', status: value, reason, message, lastTransitionTime: '2026-01-01T03:00:00Z' },
  ];
  return {
    apiVersion: 'pgbackup.dev/v1beta1',
    kind: 'Backup',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T03:00:00Z',
    },
    spec: { policy: 'nightly', deletionPolicy: 'Retain' },
    status: { ...status, conditions },
  };
}
