import { stringify } from 'yaml';
import { kinds } from '../api/kinds.ts';
import { makeCrd } from './crd.ts';
import { makeRoles } from './roles.ts';

/** Where the released image lies; whoever builds one puts another name here. */
export const imageName = 'ghcr.io/pgbackup/pgbackup-operator';

const name = 'pgbackup-operator';
const namespace = 'pgbackup-system';
const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': name };
const selector = { 'app.kubernetes.io/name': name };
const metricsPort = 8080;
const user = 65_532;

type Document = Readonly<Record<string, unknown>>;

/** manifests/install.yaml: everything that `kubectl apply` needs to run the operator of a version in a cluster. */
export function printInstall(version: string): string {
  const image = `${imageName}:${version}`;
  const documents: readonly (readonly [string, Document])[] = [
    ['', makeNamespace()],
    ...kinds.map((kind): [string, Document] => ['', makeCrd(kind)]),
    ['', { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace, labels } }],
    ...makeRoles({ name, namespace, labels }),
    ['Two replicas: one leads, one stands by with warm caches.', makeDeployment(image)],
    ['', makeDisruptionBudget()],
    ['', makeMetricsPort()],
  ];
  const print = ([comment, document]: readonly [string, Document]): string =>
    `${comment === '' ? '' : `# ${comment}\n`}${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`;
  return documents.map(print).join('---\n');
}

const makeNamespace = (): Document => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: namespace, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } },
});

const makeDeployment = (image: string): Document => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace, labels },
  spec: {
    replicas: 2,
    selector: { matchLabels: selector },
    template: {
      metadata: { labels, annotations: { 'kubectl.kubernetes.io/default-container': 'controller' } },
      spec: {
        serviceAccountName: name,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 30,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: user,
          runAsGroup: user,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        topologySpreadConstraints: ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
          maxSkew: 1,
          topologyKey,
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: selector },
        })),
        containers: [makeContainer(image)],
      },
    },
  },
});

const makeContainer = (image: string): Document => ({
  name: 'controller',
  image,
  args: ['controller', '--leader-election', `--metrics-port=${metricsPort}`],
  env: [
    // A burst of runs makes garbage, which a small young generation gives back at once: a third less memory at its peak.
    { name: 'NODE_OPTIONS', value: '--max-semi-space-size=4' },
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  ],
  ports: [{ name: 'metrics', containerPort: metricsPort }],
  livenessProbe: { httpGet: { path: '/healthz', port: 'metrics' }, periodSeconds: 20, timeoutSeconds: 5 },
  readinessProbe: { httpGet: { path: '/readyz', port: 'metrics' }, periodSeconds: 5, timeoutSeconds: 5 },
  startupProbe: { httpGet: { path: '/healthz', port: 'metrics' }, periodSeconds: 2, failureThreshold: 60 },
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  },
});

const makeDisruptionBudget = (): Document => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name, namespace, labels },
  spec: { maxUnavailable: 1, selector: { matchLabels: selector } },
});

const makeMetricsPort = (): Document => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: `${name}-metrics`, namespace, labels },
  spec: { selector, ports: [{ name: 'metrics', port: metricsPort, targetPort: 'metrics' }] },
});
