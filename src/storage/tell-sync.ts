import type { PutOptions } from './storage.ts';

/** Does a sync, and tells who wants to know when it begins and when it is over. */
export async function tellSync<T>({ onSync }: Pick<PutOptions, 'onSync'>, sync: () => Promise<T>): Promise<T> {
  onSync?.(true);
  try {
    return await sync();
  } finally {
    onSync?.(false);
  }
}
