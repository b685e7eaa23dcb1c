import type { PlaceOffers } from '../../domain/report.ts';
import { WholeBytes } from '../../storage/whole-bytes.ts';
import type { Probe, Step } from './probe-types.ts';
import {
  compareWith,
  findInListing,
  findUnfinished,
  getBack,
  giveUp,
  hasReason,
  putInParts,
  race,
  refuseSecond,
} from './probe-steps.ts';

/**
 * What can be tried where nothing may be deleted. Every object has one content for ever, is put once and read afterwards, so that nothing
 * piles up; that the key may still write is seen by an upload that is begun and given up. What a thief of the key could do (put over
 * an existing key, delete) is tried once for each new location, and when an inspection is asked for.
 */
export function probeAppend({ storage, fullPart, signal }: Probe, folder: string): readonly Step[] {
  const contentOf = (key: string): Buffer => Buffer.from(`pgbackup probe ${key}\n`);
  const put = `${folder}put`;
  const parts = `${folder}parts`;
  const full = `${folder}full`;
  const isThere = async (key: string): Promise<boolean> => (await storage.stat(key, signal)) !== undefined;

  const storeOnce = async (key: string, large: boolean): Promise<void> => {
    if (!(await isThere(key))) await putInParts(storage, key, contentOf(key), large, signal);
  };
  return [
    ['put', () => ifAbsent(() => storage.put(put, new WholeBytes(contentOf(put)), { onlyIfAbsent: true }, signal))],
    ['get', () => getBack(storage, put, contentOf(put), signal)],
    [
      'conditionalPut',
      async () => {
        await refuseSecond(storage, put, contentOf(put), signal);
        if (!storage.conditionalPut) return { conditions: 'LookedUp' };
        const key = `${folder}race`;
        if (await isThere(key)) return {};
        const writers = ['one', 'two'].map((writer) => Buffer.from(`pgbackup probe ${key} ${writer}\n`));
        return { conditions: await race(storage, key, writers, signal) };
      },
    ],
    [
      'multipart',
      async () => {
        await storeOnce(parts, false);
        await compareWith(storage, parts, contentOf(parts), signal);
        if (fullPart) await storeOnce(full, true);
      },
    ],
    ['abort', () => tryUpload(storage, `${folder}aborted`, signal)],
    ['list', async () => void (await findInListing(storage, folder, [put, parts], signal))],
    ['delete', async () => (fullPart ? await tryAsThief(storage, put, contentOf(put), signal) : {})],
  ];
}

/** One more upload is begun only while none of ours is left: where aborting is refused they would pile up. */
async function tryUpload(storage: Probe['storage'], key: string, signal: AbortSignal): Promise<PlaceOffers> {
  const removeAll = async (): Promise<number | undefined> => {
    const found = await findUnfinished(storage, key, signal);
    for (const item of found ?? []) await storage.removeUnfinished(item, signal).catch(() => undefined);
    return found === undefined ? undefined : (await findUnfinished(storage, key, signal))?.length;
  };
  const before = await removeAll();
  if (before === undefined) return {};
  if (before > 0) return { unfinishedUploads: before };
  await giveUp(storage, key, signal);
  return { unfinishedUploads: (await removeAll()) ?? 0 };
}

async function tryAsThief(
  storage: Probe['storage'],
  key: string,
  content: Buffer,
  signal: AbortSignal,
): Promise<PlaceOffers> {
  const over = await ifAllowed(() => storage.put(key, new WholeBytes(content), {}, signal));
  const gone = await ifAllowed(async () => {
    await storage.delete(key, signal);
    return await storage.stat(key, signal);
  });
  const kept = over !== 'Refused' && over.versionId !== undefined ? 'Versioned' : 'Replaced';
  return {
    overwrites: over === 'Refused' ? over : kept,
    deletes: gone === 'Refused' || gone !== undefined ? 'Refused' : 'Allowed',
  };
}

async function ifAbsent(put: () => Promise<unknown>): Promise<void> {
  try {
    await put();
  } catch (error) {
    if (!hasReason(error, ['AlreadyStored'])) throw error;
  }
}

async function ifAllowed<T>(work: () => Promise<T>): Promise<T | 'Refused'> {
  try {
    return await work();
  } catch (error) {
    if (hasReason(error, ['StorageDenied', 'AlreadyStored', 'StorageConfigInvalid'])) return 'Refused';
    throw error;
  }
}
