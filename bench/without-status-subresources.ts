import { setTimeout as delay } from 'node:timers/promises';
import { crds } from './control-plane.ts';
import type { KubeObject } from '../src/kube/client.ts';
import type { HttpKubeClient } from '../src/kube/http-client.ts';
import { waitFor } from './wait-for.ts';

const never = new AbortController().signal;

interface Crd extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly Readonly<Record<string, unknown>>[];
  };
}

/** While it works, objects of our kinds take their statuses with their specs. */
export async function withoutStatusSubresources(client: HttpKubeClient, work: () => Promise<void>): Promise<void> {
  const all = (await client.list(crds, {}, never)).items as readonly Crd[];
  const put = async (change: (crd: Crd) => Crd): Promise<void> => {
    for (const { metadata } of all) {
      const now = (await client.get(crds, undefined, metadata.name ?? '', never)) as Crd;
      await client.put(crds, change(now), never);
    }
    // The API server takes a moment to serve what was said, and reads all objects into its cache anew.
    await delay(5000);
    for (const { spec, metadata } of all) {
      const [plural = ''] = metadata.name?.split('.') ?? [];
      const type = {
        group: spec.group,
        version: spec.versions[0]?.['name'] as string,
        kind: spec.names.kind,
        plural,
        namespaced: true,
      };
      await waitFor(`${plural} are listed`, async () => isSoon(client.list(type, { limit: 500 }, never)), 600_000);
    }
  };
  const before = new Map(all.map((crd) => [crd.metadata.name, crd.spec]));
  await put((crd) => {
    const versions = crd.spec.versions.map((version) => ({ ...version, subresources: undefined }));
    return { ...crd, spec: { ...crd.spec, versions } };
  });
  await work();
  await put((crd) => ({ ...crd, spec: before.get(crd.metadata.name) ?? crd.spec }));
}

async function isSoon(answer: Promise<unknown>): Promise<boolean> {
  const began = performance.now();
  return answer.then(
    () => performance.now() - began < 1000,
    () => false,
  );
}
