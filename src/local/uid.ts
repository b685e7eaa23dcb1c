import { createHash } from 'node:crypto';
import { apiGroup, restoreRequestKind } from '../api/kinds.ts';
import type { ResourceType } from '../kube/client.ts';
import type { Random } from '../support/clock.ts';

/** Names the space of our names (RFC 9562); never change it: backups in storage carry uids made with it. */
const spaceUid = '0b9de6a4-5f0c-4b1e-9d0a-3f6d2a7c8e51';

/**
 * The uid of an object without Kubernetes: of our kinds always the same for kind, namespace and name (UUIDv5), so that a restart
 * recognises what it stored; random for others. A RestoreRequest is another one whenever it is made: by its uid a runner tells that
 * its own swap is already done, and the same file restored again is not that.
 */
export function uidFor(random: Random): (type: ResourceType, namespace: string | undefined, name: string) => string {
  return ({ group, kind }, namespace, name) =>
    group === apiGroup && kind !== restoreRequestKind.kind
      ? nameUid(`${kind}/${namespace}/${name}`)
      : printUid(random.bytes(16), 4);
}

function nameUid(name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(spaceUid.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  return printUid(hash.subarray(0, 16), 5);
}

function printUid(sixteen: Uint8Array, version: number): string {
  const bytes = Buffer.from(sixteen);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
