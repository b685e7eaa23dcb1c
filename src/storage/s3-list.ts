import { Failure } from '../api/failure.ts';
import type { S3Calls } from './s3-calls.ts';
import { compareKeys, isListed } from './keys.ts';
import type { ObjectStat } from './storage.ts';

/** Servers that skip over deleted objects may give some pages without any; one that never comes further would do so for ever. */
const mostBarrenPages = 100;

/**
 * All pages of a listing. What fits one page is put into order here (some small servers sort by a language's rules); over several pages
 * a server that leaves the order of the protocol, or goes round in circles, fails the listing.
 */
export async function* listObjects(
  calls: S3Calls,
  prefix: string,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<ObjectStat, void, undefined> {
  let token: string | undefined;
  let last: string | undefined;
  let barren = 0;
  do {
    const page = await calls.listPage({ prefix, after, token }, signal);
    const isAll = token === undefined && page.next === undefined;
    const objects = isAll ? page.objects.toSorted((a, b) => compareKeys(a.key, b.key)) : page.objects;
    const before = last;
    for (const object of objects) {
      if (last !== undefined && compareKeys(object.key, last) < 0)
        throw new Failure('StorageConfigInvalid', `list ${prefix}: ${object.key} came after ${last}`, {
          hint: 'the server does not list in the order of keys',
        });
      if (object.key === last || !isListed(object.key, prefix, after)) continue;
      last = object.key;
      yield object;
    }
    barren = last === before ? barren + 1 : 0;
    if (page.next !== undefined && (page.next === token || barren > mostBarrenPages))
      throw new Failure('StorageFailed', `list ${prefix}: the server gives page after page and nothing new`);
    token = page.next;
  } while (token !== undefined);
}
