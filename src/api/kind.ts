import type { z } from 'zod';

/** A printer column of `kubectl get`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: only with -o wide. */
  readonly priority?: 1;
}

/** All that is said of a kind: CRD, types, reference docs and validators are made from it. */
export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly nameMaxLength: number;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly columns: readonly Column[];
  /** Paths that `kubectl get --field-selector` knows, besides name and namespace. */
  readonly selectable?: readonly string[];
  readonly conditions: readonly ConditionType[];
}

/** A condition of a kind: positive, and False only when known. */
export interface ConditionType {
  readonly type: string;
  /** What True says. */
  readonly description: string;
}

export const age: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since creation.',
};
export const conditionColumn = (name: string, type: string): Column => ({
  name,
  type: 'string',
  jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
  description: `Condition ${type}.`,
});
export const progressColumn: Column = {
  name: 'Progress',
  type: 'string',
  jsonPath: '.status.progress.summary',
  description: 'How far it is, while it runs.',
  priority: 1,
};
export const reasonColumn = (type: string, priority?: 1): Column => ({
  name: 'Reason',
  type: 'string',
  jsonPath: `.status.conditions[?(@.type=="${type}")].reason`,
  description: `Reason of ${type}.`,
  ...(priority === undefined ? {} : { priority }),
});
