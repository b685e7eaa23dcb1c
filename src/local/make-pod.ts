import type { KubeObject } from '../kube/client.ts';
import { jobNameLabel, trackingFinalizer, type Job } from './workload-types.ts';

/** The pod of a Job's template, owned by the Job, named after it by the API server. */
export function makePod(job: Job): KubeObject {
  const { name = '', namespace = '', uid = '' } = job.metadata;
  const template = job.spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${name}-`,
      namespace,
      labels: {
        ...template.metadata?.labels,
        [jobNameLabel]: name,
        'job-name': name,
        'batch.kubernetes.io/controller-uid': uid,
      },
      annotations: { ...template.metadata?.annotations },
      finalizers: [trackingFinalizer],
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true, blockOwnerDeletion: true }],
    },
    spec: template.spec,
  };
}
