import type { RestoreRequest } from '../../src/api/kinds.ts';

/** A RestoreRequest as the controller shows it. */
export function restoreRequest(
  name: string,
  succeeded: readonly ['True' | 'False' | 'Unknown', string, string?],
  status: RestoreRequest['status'] = {},
  spec: Partial<RestoreRequest['spec']> = {},
): RestoreRequest {
  const [value, reason, message = ''] = succeeded;
  const conditions = [
    { type: 'Succeeded', status: value, reason, message, lastTransitionTime: '2026-01-01T03:00:00Z' },
  ];
  return {
    apiVersion: 'pgbackup.dev/v1beta1',
    kind: 'RestoreRequest',
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T03:00:00Z',
    },
    spec: {
      source: { policy: { name: 'nightly', latest: true } },
      target: {
        postgres: {
          port: 5432,
          tls: { mode: 'verify-full' },
          credentials: { secretName: 'db', keys: { username: 'username', password: 'password', uri: 'uri' } },
        },
        database: 'shop',
      },
      mode: 'Replace',
      keepPrevious: false,
      inPlace: { clean: false, acknowledgeDataLoss: false, dropOthers: false },
      select: { schemaOnly: false, dataOnly: false },
      options: {
        jobs: 1,
        synchronousCommit: false,
        noOwner: false,
        noPrivileges: false,
        onError: 'Stop',
        globals: false,
        privilegedGlobals: false,
        analyze: true,
      },
      scratch: {},
      runner: {
        resources: {},
        deadlineSeconds: 3600,
        retries: 2,
        waitForServerSeconds: 300,
        nodeSelector: {},
        tolerations: [],
        podLabels: {},
        podAnnotations: {},
      },
      ...spec,
    },
    status: { ...status, conditions },
  };
}
