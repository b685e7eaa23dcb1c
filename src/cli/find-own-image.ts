import { Failure } from '../api/failure.ts';
import { resources } from '../controller/resources.ts';
import type { HttpKubeClient } from '../kube/http-client.ts';

/** Of our container in the Deployment. */
const containerName = 'controller';

/**
 * The image of the pod that we run in: a Deployment names it once, and whoever changes it there (kustomize, a registry of one's own) changes
 * that of runners with it. @throws Failure SpecInvalid outside of a pod; KubeError as `get` does
 */
export async function findOwnImage(
  client: HttpKubeClient,
  podName: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { namespace } = client;
  const pod = podName === undefined ? undefined : await client.get(resources.pod, namespace, podName, signal);
  const { containers = [] } = (pod?.spec ?? {}) as {
    readonly containers?: readonly { readonly name: string; readonly image?: string }[];
  };
  const own =
    containers.find(({ name }) => name === containerName) ?? (containers.length === 1 ? containers[0] : undefined);
  if (own?.image === undefined || own.image === '') {
    const where =
      podName === undefined
        ? 'POD_NAME is not set'
        : `there is no pod ${namespace ?? ''}/${podName} with a container ${containerName}`;
    throw new Failure('SpecInvalid', `the image of runners is not known: ${where}`, {
      hint: 'name it with --runner-image',
    });
  }
  return own.image;
}
