const metricsPort = 8080;
const user = 65_532;

type Document = Readonly<Record<string, unknown>>;

export interface WorkloadOptions {
  /** Of all its objects. */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of its pods, which have the labels too. */
  readonly selector: Readonly<Record<string, string>>;
  readonly image: string;
  /** Sees its own namespace only, else all. */
  readonly oneNamespace: boolean;
}

/** Two replicas of the controller, what keeps one of them, and their metrics. */
export function makeWorkload(options: WorkloadOptions): readonly (readonly [string, Document])[] {
  return [
    ['Two replicas: one leads, one stands by with warm caches.', makeDeployment(options)],
    ['', makeDisruptionBudget(options)],
    ['', makeMetricsPort(options)],
  ];
}

const metaOf = ({ name, namespace, labels }: WorkloadOptions): object => ({ name, namespace, labels });

const makeDeployment = (options: WorkloadOptions): Document => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: metaOf(options),
  spec: {
    replicas: 2,
    selector: { matchLabels: options.selector },
    template: {
      metadata: { labels: options.labels, annotations: { 'kubectl.kubernetes.io/default-container': 'controller' } },
      spec: {
        serviceAccountName: options.name,
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
          labelSelector: { matchLabels: options.selector },
        })),
        containers: [makeContainer(options)],
      },
    },
  },
});

const makeContainer = ({ image, oneNamespace }: WorkloadOptions): Document => ({
  name: 'controller',
  image,
  args: [
    'controller',
    '--leader-election',
    `--metrics-port=${metricsPort}`,
    ...(oneNamespace ? ['--namespace=$(POD_NAMESPACE)'] : []),
  ],
  env: [
    // A burst of runs makes garbage, which a small young generation gives back at once: a third less memory at its peak.
    { name: 'NODE_OPTIONS', value: '--max-semi-space-size=4' },
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    ...(oneNamespace ? [{ name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } }] : []),
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

const makeDisruptionBudget = (options: WorkloadOptions): Document => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: metaOf(options),
  spec: { maxUnavailable: 1, selector: { matchLabels: options.selector } },
});

const makeMetricsPort = (options: WorkloadOptions): Document => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { ...metaOf(options), name: `${options.name}-metrics` },
  spec: { selector: options.selector, ports: [{ name: 'metrics', port: metricsPort, targetPort: 'metrics' }] },
});
