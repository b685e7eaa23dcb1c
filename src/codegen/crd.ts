import type { Kind } from '../api/kind.ts';
import { apiGroup, apiVersionName } from '../api/kinds.ts';
import { labelPattern } from '../api/parts.ts';
import { nameRuleMessages } from '../api/validate.ts';
import { printStructuralSchema, type ValidationRule } from './structural-schema.ts';

export const crdName = (kind: Kind): string => `${kind.plural}.${apiGroup}`;

/** The CustomResourceDefinition (apiextensions.k8s.io/v1) of a kind, as a plain object. */
export function makeCrd(kind: Kind): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: crdName(kind) },
    spec: {
      group: apiGroup,
      scope: 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: [...kind.shortNames],
        categories: ['pgbackup'],
      },
      versions: [
        {
          name: apiVersionName,
          served: true,
          storage: true,
          subresources: { status: {} },
          ...(kind.selectable === undefined
            ? {}
            : { selectableFields: kind.selectable.map((jsonPath) => ({ jsonPath })) }),
          additionalPrinterColumns: kind.columns.map((column) => ({ ...column })),
          schema: {
            openAPIV3Schema: {
              description: kind.description,
              type: 'object',
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: printStructuralSchema(kind.spec),
                status: printStructuralSchema(kind.status),
              },
              'x-kubernetes-validations': nameRules(kind),
            },
          },
        },
      ],
    },
  };
}

/** Names become parts of other names: children must fit 63 characters, and labels have no dots. */
export function nameRules(kind: Kind): readonly ValidationRule[] {
  const messages = nameRuleMessages(kind);
  return [
    { rule: `size(self.metadata.name) <= ${kind.nameMaxLength}`, message: messages.length },
    { rule: `self.metadata.name.matches('${labelPattern.source}')`, message: messages.label },
  ];
}
