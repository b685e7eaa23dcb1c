import type { DeleteAction } from '../action.ts';
import type { JobSeen } from './pods.ts';
import { resources } from '../resources.ts';

/** Foreground: the Job stays until its pods are gone. */
export function deleteJob({ metadata }: JobSeen, propagation: DeleteAction['propagation']): DeleteAction {
  const { namespace, name, uid } = metadata;
  return { type: 'delete', resource: resources.job, namespace, name, uid, propagation };
}
