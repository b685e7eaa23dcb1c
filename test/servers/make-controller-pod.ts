import { parseAllDocuments } from 'yaml';

/** What is needed of a Deployment. */
interface Deployment {
  readonly metadata: { readonly namespace: string };
  readonly spec: { readonly template: { readonly metadata: { readonly labels: object }; readonly spec: object } };
}

/** A pod of the controller's Deployment as its ReplicaSet would make it, on a node that is not there, so that nobody runs it, or waits for its end. */
export function makeControllerPod(deployment: object, name: string): object {
  const { metadata, spec } = deployment as Deployment;
  const { labels } = spec.template.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: metadata.namespace, labels },
    spec: { ...spec.template.spec, nodeName: 'elsewhere', terminationGracePeriodSeconds: 0 },
  };
}

/** The Deployment of a manifest. */
export function readDeployment(manifest: string): object {
  const objects = parseAllDocuments(manifest).map((each) => each.toJS() as { readonly kind: string });
  const found = objects.find(({ kind }) => kind === 'Deployment');
  if (found === undefined) throw new Error('there is no Deployment');
  return found;
}
