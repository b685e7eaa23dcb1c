import { isKubeError, type KubeClient, type KubeList, type ListOptions, type ResourceType } from './client.ts';

/** So many pages in a row before larger ones are asked for again. */
const goodPages = 3;

/**
 * The whole list, page by page. A page whose answer is too large is asked for again with half the limit, down to one object, and the
 * limit grows again afterwards: a few large objects make nobody read a hundred thousand small ones one by one. The token of a page says
 * where it begins and not how long it is. Rejects with KubeError, `TooLarge` for one object that is too large by itself.
 */
export async function* listPages(
  client: Pick<KubeClient, 'list'>,
  type: ResourceType,
  options: ListOptions & { readonly limit: number },
  signal: AbortSignal,
): AsyncGenerator<KubeList> {
  let { limit } = options;
  let token = options.continue;
  let good = 0;
  for (;;) {
    let page: KubeList;
    try {
      page = await client.list(type, { ...options, limit, continue: token }, signal);
    } catch (error) {
      if (!isKubeError(error, 'TooLarge') || limit <= 1) throw error;
      limit = Math.floor(limit / 2);
      good = 0;
      continue;
    }
    good += 1;
    if (good >= goodPages) {
      limit = Math.min(options.limit, limit * 2);
      good = 0;
    }
    token = page.continue;
    yield page;
    if (token === undefined) return;
  }
}
