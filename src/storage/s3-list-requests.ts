import { ListObjectsCommand, ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { Failure } from '../api/failure.ts';
import type { Ask } from './s3-client.ts';
import { s3CodeOf } from './s3-errors.ts';
import { isRefusedOption } from './s3-offers.ts';
import { unquote } from './s3-told.ts';
import type { ObjectStat } from './storage.ts';

export interface RawPageRequest {
  readonly prefix: string;
  /** Keys behind this one; a server that knows version 1 only may give all. */
  readonly after?: string | undefined;
  readonly token?: string | undefined;
  readonly most?: number;
  /** Keys are asked for in an encoding in which every key can be written. */
  readonly encoded: boolean;
}

/** Keys are as the server writes them. */
export interface RawPage {
  readonly entries: readonly ObjectStat[];
  /** By its own word. */
  readonly encoded: boolean;
  /** Undefined on the last page; `byLastKey`: the next one is asked for by the last key of this one. */
  readonly next: string | undefined;
  readonly byLastKey: boolean;
}

/**
 * Asks for one page of a listing. A server that does not know version 2 of that request refuses it, or answers as version 1 does, with no
 * word on how to go on: it is asked by version 1 from then on, where the last key is that word.
 */
export function makeListRequest(
  ask: Ask,
  Bucket: string,
): (page: RawPageRequest, what: string, signal: AbortSignal) => Promise<RawPage> {
  let knowsTwo = true;

  async function askTwo(page: RawPageRequest, what: string, signal: AbortSignal): Promise<ListObjectsV2CommandOutput> {
    const { token, after } = page;
    const command = new ListObjectsV2Command({
      ...common(page),
      ...(token === undefined ? {} : { ContinuationToken: token }),
      ...(after === undefined || token !== undefined ? {} : { StartAfter: after }),
    });
    return await ask(what, (client, abort) => client.send(command, abort), signal);
  }

  async function askOne(page: RawPageRequest, what: string, signal: AbortSignal): Promise<RawPage> {
    const marker = page.token ?? page.after;
    const command = new ListObjectsCommand({ ...common(page), ...(marker === undefined ? {} : { Marker: marker }) });
    const told = await ask(what, (client, abort) => client.send(command, abort), signal);
    return readPage(told, undefined, what);
  }

  const common = ({ prefix, most, encoded }: RawPageRequest) => ({
    Bucket,
    Prefix: prefix,
    ...(most === undefined ? {} : { MaxKeys: most }),
    ...(encoded ? { EncodingType: 'url' as const } : {}),
  });

  async function askEither(page: RawPageRequest, what: string, signal: AbortSignal): Promise<RawPage> {
    if (!knowsTwo) return await askOne(page, what, signal);
    try {
      const told = await askTwo(page, what, signal);
      const read = readPage(told, told.NextContinuationToken, what);
      if (read.byLastKey) knowsTwo = false;
      return read;
    } catch (error) {
      // Where a page of version 2 came before, it is no matter of versions.
      if (page.token !== undefined || !isRefusedOption(error)) throw error;
      const read = await askOne(page, what, signal).catch(() => Promise.reject(error));
      knowsTwo = false;
      return read;
    }
  }

  return async (page, what, signal) => {
    try {
      return await askEither(page, what, signal);
    } catch (error) {
      if (!(error instanceof Failure) || s3CodeOf(error) !== 'NoSuchKey') throw error;
      // A bucket was listed, and taken for an object.
      const { message, hint, cause } = error;
      throw new Failure('StorageConfigInvalid', message, {
        hint: hint ?? 'correct s3.endpoint: there is a bucket too many in its path',
        cause,
      });
    }
  };
}

function readPage(
  told: Pick<ListObjectsV2CommandOutput, 'Contents' | 'EncodingType' | 'IsTruncated'>,
  token: string | undefined,
  what: string,
): RawPage {
  const entries = (told.Contents ?? []).map(({ Key, Size, LastModified, ETag }) => {
    const tag = unquote(ETag);
    if (Key === undefined || Size === undefined)
      throw new Failure('StorageConfigInvalid', `${what}: an entry has no key or size`);
    const stat = { key: Key, bytes: Size, modifiedAtMs: LastModified?.getTime() ?? 0 };
    return tag === undefined ? stat : { ...stat, tag };
  });
  const page = { entries, encoded: told.EncodingType === 'url', byLastKey: false };
  if (told.IsTruncated !== true) return { ...page, next: undefined };
  if (token) return { ...page, next: token };
  const last = entries.at(-1);
  if (last === undefined)
    throw new Failure('StorageFailed', `${what}: there is more, but the answer does not say how to get it`);
  return { ...page, next: last.key, byLastKey: true };
}
