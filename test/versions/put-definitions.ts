import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import { crdType } from '../api/start-with-crds.ts';

/** As `kubectl replace` of the files in `crds` of a tree. */
export async function putDefinitions(client: KubeClient, tree: string, signal: AbortSignal): Promise<void> {
  const folder = join(tree, 'crds');
  for (const file of await readdir(folder)) {
    const wanted = parse(await readFile(join(folder, file), 'utf8')) as KubeObject;
    const { name = '' } = wanted.metadata;
    const { metadata } = (await client.get(crdType, undefined, name, signal)) ?? wanted;
    await client.put(crdType, { ...wanted, metadata }, signal);
  }
}
