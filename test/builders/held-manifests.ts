import type { Backup } from '../../src/api/kinds.ts';
import { HeldManifests, type HeldAfter } from '../../src/controller/world/held-manifests.ts';
import type { KubeObject } from '../../src/kube/client.ts';

/** What these Backups say that a location has. */
export function heldAfterOf(backups: readonly Backup[], location = 'near'): HeldAfter {
  const held = new HeldManifests();
  for (const backup of backups) {
    const { namespace, name } = backup.metadata;
    held.follow({ namespace, name, object: backup as unknown as KubeObject, previous: undefined });
  }
  return (key) => held.after('shop', location, key);
}
