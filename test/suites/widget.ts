import type { KubeObject, ResourceType } from '../../src/kube/client.ts';
import type { MemoryType, Validate } from '../../src/apiserver/memory-type.ts';

/** A kind for tests, told twice with the same meaning: as a CRD for a real API server and as a validator for the embedded one. */
export const widgetType: ResourceType = {
  group: 'test.pgbackup.dev',
  version: 'v1',
  kind: 'Widget',
  plural: 'widgets',
  namespaced: true,
};

export const configMapType: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};

export interface WidgetSpec {
  /** 1 to 10. */
  readonly size: number;
  /** red (default) or blue; never changes. */
  readonly color?: string;
  readonly note?: string;
}

export function buildWidget(namespace: string, name: string, spec: WidgetSpec = { size: 1 }): KubeObject {
  return { apiVersion: 'test.pgbackup.dev/v1', kind: 'Widget', metadata: { namespace, name }, spec };
}

const tooLarge = 'a blue widget has a size of at most 5';
const colorChanged = 'color is immutable';

export const widgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.test.pgbackup.dev' },
  spec: {
    group: 'test.pgbackup.dev',
    scope: 'Namespaced',
    names: { kind: 'Widget', listKind: 'WidgetList', plural: 'widgets', singular: 'widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: {
                  size: { type: 'integer', minimum: 1, maximum: 10 },
                  color: { type: 'string', enum: ['red', 'blue'], default: 'red' },
                  note: { type: 'string', maxLength: 10 },
                },
                'x-kubernetes-validations': [
                  { rule: "self.color != 'blue' || self.size <= 5", message: tooLarge },
                  { rule: 'self.color == oldSelf.color', message: colorChanged },
                ],
              },
              status: { type: 'object', properties: { phase: { type: 'string' } } },
            },
          },
        },
      },
    ],
  },
} as const;

type Members = Readonly<Record<string, unknown>>;

const unknownMembers = (path: string, value: Members, known: readonly string[]): readonly string[] => {
  return Object.keys(value).flatMap((key) => (known.includes(key) ? [] : [`unknown field "${path}${key}"`]));
};

const validateWidget: Validate = (object, old) => {
  const errors = [...unknownMembers('', object, ['apiVersion', 'kind', 'metadata', 'spec', 'status'])];
  if (typeof object.spec !== 'object' || object.spec === null) return { errors: [...errors, 'spec: Required value'] };
  const spec: Members = { color: 'red', ...object.spec };
  errors.push(...unknownMembers('spec.', spec, ['size', 'color', 'note']));
  const { size, color, note } = spec;
  if (size === undefined) errors.push('spec.size: Required value');
  else if (!Number.isInteger(size)) errors.push('spec.size: Invalid value: must be of type integer');
  else if (Number(size) < 1 || Number(size) > 10) errors.push('spec.size: Invalid value: should be within 1 and 10');
  if (color !== 'red' && color !== 'blue') errors.push('spec.color: Unsupported value');
  if (note !== undefined && (typeof note !== 'string' || note.length > 10)) errors.push('spec.note: Invalid value');
  if (color === 'blue' && Number(size) > 5) errors.push(`spec: Invalid value: ${tooLarge}`);
  if (old && (old.spec as Members)['color'] !== color) errors.push(`spec: Invalid value: ${colorChanged}`);
  if (object.status !== undefined) {
    errors.push(...unknownMembers('status.', object.status as Members, ['phase']));
    const { phase } = object.status as Members;
    if (phase !== undefined && typeof phase !== 'string') errors.push('status.phase: Invalid value: not a string');
  }
  return errors.length > 0 ? { errors } : { object: { ...object, spec } };
};

export const widgetMemoryTypes: readonly MemoryType[] = [
  { type: widgetType, statusSubresource: true, validate: validateWidget },
  { type: configMapType },
];
