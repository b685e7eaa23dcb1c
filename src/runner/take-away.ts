import { Failure } from '../api/failure.ts';
import type { Storage } from '../storage/storage.ts';

/**
 * Deletes a manifest and sees it gone: neither read nor listed any more. Only then may its volumes be deleted.
 * @throws Failure when it cannot be deleted, still stands, or nobody knows
 */
export async function takeAway(storage: Storage, key: string, signal: AbortSignal): Promise<void> {
  await storage.delete(key, signal);
  let isThere = (await storage.stat(key, signal)) !== undefined;
  for await (const found of storage.list(key, undefined, signal)) isThere ||= found.key === key;
  if (isThere) throw new Failure('StorageFailed', `${key} is still there after it was deleted`);
}
