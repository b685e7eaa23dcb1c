import { apiGroup, backupKind, backupLocationKind, backupPolicyKind, restoreRequestKind } from '../api/kinds.ts';

export interface JobGuardOptions {
  /** Of the ServiceAccount. */
  readonly name: string;
  readonly namespace: string;
  /** Of policy and binding, which have no namespace. */
  readonly guardName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the controller's pods. */
  readonly podLabels: Readonly<Record<string, string>>;
}

type Document = Readonly<Record<string, unknown>>;

interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
}

const owners = [backupKind, backupLocationKind, backupPolicyKind, restoreRequestKind]
  .map(({ kind }) => `'${kind}'`)
  .join(', ');
const all = (list: string, what: string): string => `variables.pod.?${list}.orValue([]).all(${what})`;

/** What the runner needs, and where; a change of controller/run/runner-job.ts shows in the test that puts its Jobs to a real API server. */
const environment = "['NODE_OPTIONS', 'MALLOC_MMAP_THRESHOLD_', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']";
const volumes = ['downwardAPI', 'emptyDir', 'ephemeral', 'secret', 'persistentVolumeClaim'];
const podOnly = ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace'];
const podNever = ['initContainers', 'nodeName', 'hostUsers', 'resourceClaims'];
const containerNever = [
  'command',
  'workingDir',
  'envFrom',
  'lifecycle',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'volumeDevices',
];

/** Name of an image without tag and digest. */
const repository = (image: string): string => `${image}.split('@')[0].find('^([^/]*/)*[^/:]+')`;
/** Of the controller, and of another image for runners, which flag or environment name. */
const repositories = `(${[
  '[variables.controller.image]',
  "variables.controller.?args.orValue([]).filter(a, a.startsWith('--runner-image=')).map(a, a.substring(15))",
  "variables.controller.?env.orValue([]).filter(e, e.name == 'PGBACKUP_RUNNER_IMAGE' && has(e.value)).map(e, e.value)",
].join(' + ')}).map(i, ${repository('i')})`;
const none = (of: string, members: readonly string[]): string =>
  members.map((member) => `!has(${of}.${member})`).join(' && ');

const validations: readonly Validation[] = [
  {
    expression: [
      'object.metadata.?ownerReferences.orValue([]).size() == 1',
      `object.metadata.ownerReferences.all(owner, owner.apiVersion.startsWith('${apiGroup}/') && owner.kind in [${owners}] && owner.?controller.orValue(false))`,
    ].join(' && '),
    message: 'the account of pgbackup may only make Jobs that an object of pgbackup owns',
  },
  {
    expression: [
      'variables.pod.?automountServiceAccountToken.orValue(true) == false',
      ...podOnly.map((member) => `!variables.pod.?${member}.orValue(false)`),
      none('variables.pod', podNever),
      'variables.pod.?securityContext.runAsNonRoot.orValue(false)',
    ].join(' && '),
    message: 'the account of pgbackup may only make Jobs whose pod has no API token, no root and nothing of its node',
  },
  {
    expression: all('volumes', `volume, ${volumes.map((source) => `has(volume.${source})`).join(' || ')}`),
    message: `the account of pgbackup may only make Jobs with volumes of the kinds ${volumes.join(', ')}`,
  },
  {
    expression: [
      'variables.pod.containers.size() == 1',
      `variables.pod.containers.all(c, c.name == 'runner' && c.?args.orValue([]) == ['runner'] && ${none('c', containerNever)})`,
    ].join(' && '),
    message: 'the account of pgbackup may only make Jobs of one container that runs the runner',
  },
  {
    // Programs, libraries and options of node come from the image, not from what is mounted or set.
    expression: all(
      'containers',
      `c, c.?env.orValue([]).all(e, e.name in ${environment} && !has(e.valueFrom) && (e.name != 'NODE_OPTIONS' || e.value.matches('^--max-semi-space-size=[0-9]+$')))` +
        ` && c.?volumeMounts.orValue([]).all(m, (m.mountPath == '/tmp' || m.mountPath.startsWith('/run/pgbackup/')) && !m.mountPath.contains('..') && !has(m.subPath) && !has(m.subPathExpr))`,
    ),
    message: "the account of pgbackup may only make Jobs with the runner's own environment and folders",
  },
  {
    expression: all(
      'containers',
      "c, c.?securityContext.readOnlyRootFilesystem.orValue(false) && c.?securityContext.allowPrivilegeEscalation.orValue(true) == false && c.?securityContext.capabilities.?drop.orValue([]) == ['ALL'] && !has(c.securityContext.capabilities.add)",
    ),
    message: 'the account of pgbackup may only make Jobs without any privilege',
  },
  {
    expression: `!variables.judges || ${all('containers', `c, ${repository('c.image')} in variables.repositories`)}`,
    messageExpression:
      "'the account of pgbackup may only make Jobs of the image ' + variables.controller.image + ', in any version, not of ' + variables.pod.containers[0].image + ': name it with --runner-image=IMAGE in the arguments of its Deployment'",
  },
];

/** Which pod asks: the server has checked that the token was made for it. Empty when the token is of no pod. */
const asker = "request.userInfo.?extra[?'authentication.kubernetes.io/pod-name'].orValue([]).join('')";

/**
 * What the controller's account may not do although its role lets it create Jobs: run anything but runners of its own image. The image is
 * read from the controller's pods, so that who changes it in the Deployment has nothing else to change; in any version, so that what works
 * goes on while another one is rolled out. A pod of the Deployment is held to its own image, so that one goes on while the next one comes,
 * from another registry, too; whoever else has a token, to the images of all pods.
 */
export function makeJobGuard(options: JobGuardOptions): readonly Document[] {
  const { name, namespace, guardName, labels, podLabels } = options;
  const apiVersion = 'admissionregistration.k8s.io/v1';
  const metadata = { name: guardName, labels };
  return [
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata,
      spec: {
        failurePolicy: 'Fail',
        // Not the Deployment: an API server watches Pods always; of other kinds of its own it finds none any more once the last policy
        // that asked for them was deleted and one is made again.
        paramKind: { apiVersion: 'v1', kind: 'Pod' },
        matchConstraints: {
          resourceRules: [{ apiGroups: ['batch'], apiVersions: ['v1'], resources: ['jobs'], operations: ['CREATE'] }],
        },
        matchConditions: [
          {
            name: 'made-by-the-controller',
            expression: `request.userInfo.username == 'system:serviceaccount:${namespace}:${name}'`,
          },
        ],
        variables: [
          { name: 'pod', expression: 'object.spec.template.spec' },
          {
            name: 'controller',
            expression: "params.spec.containers.filter(c, c.name == 'controller')[0]",
          },
          { name: 'repositories', expression: repositories },
          { name: 'asker', expression: asker },
          {
            name: 'judges',
            expression: `variables.asker == params.metadata.name || !variables.asker.startsWith('${name}-')`,
          },
        ],
        validations,
      },
    },
    {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata,
      spec: {
        policyName: guardName,
        validationActions: ['Deny'],
        // Asked one by one, and none of them may refuse; see `judges`.
        paramRef: { namespace, selector: { matchLabels: podLabels }, parameterNotFoundAction: 'Deny' },
      },
    },
  ];
}
