import { Failure, toFailure } from '../api/failure.ts';
import { abortFailure, withinTime, throwIfAborted } from './abortable.ts';
import { attempt, isTransient } from './attempt.ts';
import { BufferPool, gatherParts } from './gather-parts.ts';
import type { Acknowledged, S3Calls, UploadedPart, UploadRef } from './s3-calls.ts';
import { compareAcknowledged, compareCompleted, crc32Of, fingerprintOfParts, makeChecks } from './s3-checks.ts';
import { s3CodeOf } from './s3-errors.ts';
import { isRefusedOption, type UploadSettings, withOffers } from './s3-offers.ts';
import { putWhole } from './s3-put-whole.ts';
import { removeUpload } from './s3-unfinished.ts';
import { compareHeld, refuseExisting, removeIfOurs, settleLostAnswer } from './s3-settle.ts';
import type { Bytes, PutOptions, StoredObject } from './storage.ts';
import { WholeBytes } from './whole-bytes.ts';

/** All parts but the last: equal, as R2 demands, and small, as memory wishes. */
export const partBytes = 8 * 1024 * 1024;
const mostParts = 10_000;
const tidyMs = 20_000;

/** Stores a body: in one request when it fits one part, else as a multipart upload of which nothing is left on failure. */
export async function uploadBody(
  calls: S3Calls,
  settings: UploadSettings,
  key: string,
  body: Bytes,
  options: PutOptions,
  signal: AbortSignal,
): Promise<StoredObject> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const pool = new BufferPool(partBytes);
  let upload: Upload | undefined;
  try {
    if (options.inParts === true) upload = await Upload.start(calls, settings, key, pool, stop, either);
    for await (const part of gatherParts(body, partBytes, () => pool.take(), either)) {
      if (upload === undefined && part.last) {
        // What can be sent again from outside (retryStorage) is not tried again here too.
        const patience = {
          ...settings.patience,
          attempts: body instanceof WholeBytes ? 1 : settings.patience.attempts,
        };
        return await putWhole(calls, { ...settings, patience }, key, part.bytes, options, signal);
      }
      upload ??= await Upload.start(calls, settings, key, pool, stop, either);
      await upload.add(part.bytes);
    }
    throwIfAborted(either);
    if (upload === undefined) throw new Failure('Internal', 'a body had no last part');
    return await upload.complete(options, signal);
  } catch (error) {
    stop.abort(error);
    await upload?.abandon();
    throw error;
  }
}

class Upload {
  readonly #calls: S3Calls;
  readonly #settings: UploadSettings;
  readonly #ref: UploadRef;
  readonly #pool: BufferPool;
  readonly #stop: AbortController;
  readonly #signal: AbortSignal;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #parts: UploadedPart[] = [];
  readonly #withChecksums: boolean;
  #count = 0;
  #bytes = 0;
  #finished = false;

  static async start(
    calls: S3Calls,
    settings: UploadSettings,
    key: string,
    pool: BufferPool,
    stop: AbortController,
    signal: AbortSignal,
  ): Promise<Upload> {
    const { offers } = settings;
    const begin = (withChecksums: boolean): Promise<string> =>
      attempt(() => calls.createUpload(key, withChecksums, signal), settings.patience, signal);
    let id: string;
    try {
      id = await begin(offers.checksums);
    } catch (error) {
      if (!offers.checksums || !isRefusedOption(error)) throw error;
      id = await begin(false);
      offers.checksums = false;
    }
    return new Upload(calls, settings, { key, id }, pool, stop, signal);
  }

  private constructor(
    calls: S3Calls,
    settings: UploadSettings,
    ref: UploadRef,
    pool: BufferPool,
    stop: AbortController,
    signal: AbortSignal,
  ) {
    this.#calls = calls;
    this.#settings = settings;
    this.#ref = ref;
    this.#pool = pool;
    this.#stop = stop;
    this.#signal = signal;
    this.#withChecksums = settings.offers.checksums;
  }

  /** Resolves when the part is on its way and there is room for another. A failed part aborts the upload's own signal. */
  async add(bytes: Buffer): Promise<void> {
    this.#count += 1;
    this.#bytes += bytes.length;
    if (this.#count > mostParts)
      throw new Failure('StorageConfigInvalid', `${this.#ref.key} has more than ${mostParts} parts`, {
        hint: 'cut it into several objects',
      });
    const sending: Promise<void> = this.#send(this.#count, bytes)
      .catch((error: unknown) => this.#stop.abort(toFailure(error)))
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
    while (this.#inFlight.size >= this.#settings.partsInFlight) await Promise.race(this.#inFlight);
    if (this.#signal.aborted) throw this.#whyStopped();
  }

  async complete(options: PutOptions, signal: AbortSignal): Promise<StoredObject> {
    await Promise.all(this.#inFlight);
    if (this.#signal.aborted) throw this.#whyStopped();
    const { key } = this.#ref;
    const parts = this.#parts.toSorted((a, b) => a.number - b.number);
    const fingerprint = fingerprintOfParts(parts, this.#bytes);
    await refuseExisting(this.#calls, this.#settings, key, options, signal);
    let told: Acknowledged | undefined;
    let sends = 0;
    // An upload that is gone after an answer got lost was completed by the request before: looking tells.
    const worthIt = (error: unknown): boolean => isTransient(error) && s3CodeOf(error) !== 'NoSuchUpload';
    try {
      const offers = { checksums: false, conditions: this.#settings.offers.conditions };
      told = await withOffers(offers, options, (_, condition) =>
        attempt(
          () => {
            sends += 1;
            return this.#calls.completeUpload(this.#ref, parts, condition, signal);
          },
          { ...this.#settings.patience, worthIt },
          signal,
        ),
      );
      this.#finished = true;
      this.#settings.offers.conditions = offers.conditions;
      compareCompleted(parts, told, `complete ${key}`);
      return await compareHeld(this.#calls, this.#settings, key, this.#bytes, told, signal);
    } catch (error) {
      if (told !== undefined) throw await removeIfOurs(this.#calls, this.#settings, key, fingerprint, told, error);
      const stored = await settleLostAnswer(this.#calls, this.#settings, key, fingerprint, error, sends, signal);
      this.#finished = true;
      return stored;
    }
  }

  /** Removes what was sent. Tries for a while by itself: the caller's signal may long have aborted. */
  async abandon(): Promise<void> {
    // Parts that arrive after the abort would stay: none may be on its way.
    await Promise.all(this.#inFlight);
    if (this.#finished) return;
    const { patience } = this.#settings;
    try {
      await withinTime(patience.clock, tidyMs, (signal) => removeUpload(this.#calls, patience, this.#ref, signal));
    } catch {
      // The failure that brought us here is the one to tell. What stays is an unfinished upload: never listed, never visible,
      // and removed by the bucket's lifecycle rule or with the other remains.
    }
  }

  async #send(number: number, bytes: Buffer): Promise<void> {
    const what = `put part ${number} of ${this.#ref.key}`;
    const crc32 = crc32Of(bytes);
    const checks = makeChecks(bytes, crc32, this.#withChecksums);
    const told = await attempt(
      () => this.#calls.uploadPart(this.#ref, number, bytes, checks, this.#signal),
      this.#settings.patience,
      this.#signal,
    );
    compareAcknowledged(bytes, crc32, told, what);
    if (told.etag === undefined) throw new Failure('StorageConfigInvalid', `${what}: the server gave no ETag`);
    this.#parts.push({ number, etag: told.etag, ...(this.#withChecksums ? { crc32 } : {}) });
    this.#pool.give(bytes);
  }

  #whyStopped(): unknown {
    return this.#stop.signal.aborted ? this.#stop.signal.reason : abortFailure(this.#signal);
  }
}
