import { Failure, toFailure } from '../api/failure.ts';
import { abortFailure, withinTime, throwIfAborted } from './abortable.ts';
import { attempt, isTransient, Throttled } from './attempt.ts';
import { type BegunUpload, beginUpload } from './s3-begin.ts';
import { BufferPool, gatherParts } from './gather-parts.ts';
import type { Acknowledged, NewObject, S3Calls, UploadedPart, UploadRef } from './s3-calls.ts';
import { compareAcknowledged, compareCompleted, crc32Of, fingerprintOfParts, makeChecks } from './s3-checks.ts';
import { s3CodeOf } from './s3-errors.ts';
import { type CheckKind, explainCondition, listWays, tryWays, type UploadSettings, weakerChecks } from './s3-offers.ts';
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
  const isWhole = body instanceof WholeBytes;
  const object = { key, ifAbsent: options.onlyIfAbsent === true, inClass: !isWhole };
  let upload: Upload | undefined;
  try {
    await attempt(() => calls.checkBucket(key, either), settings.patience, either);
    if (options.inParts === true) upload = await Upload.start(calls, settings, object, pool, stop, either);
    for await (const part of gatherParts(body, partBytes, () => pool.take(), either)) {
      if (upload === undefined && part.last) {
        // What can be sent again from outside (retryStorage) is not tried again here too.
        const patience = { ...settings.patience, attempts: isWhole ? 1 : settings.patience.attempts };
        return await putWhole(calls, { ...settings, patience }, object, part.bytes, signal);
      }
      upload ??= await Upload.start(calls, settings, object, pool, stop, either);
      await upload.add(part.bytes);
    }
    throwIfAborted(either);
    if (upload === undefined) throw new Failure('Internal', 'a body had no last part');
    const stored = await upload.complete(signal);
    await upload.clearLost();
    return stored;
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
  readonly #begun: BegunUpload;
  readonly #pool: BufferPool;
  readonly #stop: AbortController;
  readonly #signal: AbortSignal;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #parts: UploadedPart[] = [];
  readonly #object: NewObject;
  /** Of the next part: one that the server refused for a part is not tried with the others. */
  #checks: CheckKind;
  #count = 0;
  #bytes = 0;
  #finished = false;

  static async start(
    calls: S3Calls,
    settings: UploadSettings,
    object: NewObject,
    pool: BufferPool,
    stop: AbortController,
    signal: AbortSignal,
  ): Promise<Upload> {
    const begun = await beginUpload(calls, settings, object, signal);
    return new Upload(calls, settings, object, begun, pool, stop, signal);
  }

  private constructor(
    calls: S3Calls,
    settings: UploadSettings,
    object: NewObject,
    begun: BegunUpload,
    pool: BufferPool,
    stop: AbortController,
    signal: AbortSignal,
  ) {
    this.#calls = calls;
    this.#settings = settings;
    this.#object = object;
    this.#ref = { key: object.key, id: begun.id };
    this.#begun = begun;
    this.#pool = pool;
    this.#stop = stop;
    this.#signal = signal;
    this.#checks = settings.offers.checks;
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
    while (this.#inFlight.size >= this.#settings.pace.limit) await Promise.race(this.#inFlight);
    if (this.#signal.aborted) throw this.#whyStopped();
  }

  async complete(signal: AbortSignal): Promise<StoredObject> {
    await Promise.all(this.#inFlight);
    if (this.#signal.aborted) throw this.#whyStopped();
    const { key } = this.#ref;
    const { offers, patience } = this.#settings;
    const parts = this.#parts.toSorted((a, b) => a.number - b.number);
    const fingerprint = fingerprintOfParts(parts, this.#bytes);
    await refuseExisting(this.#calls, this.#settings, this.#object, signal);
    const conditional = this.#object.ifAbsent && offers.conditions;
    const withSums = this.#checks === 'crc32' && offers.partSums;
    let told: Acknowledged | undefined;
    let sends = 0;
    // An upload that is gone after an answer got lost was completed by the request before: looking tells.
    const worthIt = (error: unknown): boolean => isTransient(error) && s3CodeOf(error) !== 'NoSuchUpload';
    const send = async (sums: boolean, ifAbsent: boolean): Promise<Acknowledged> => {
      sends += 1;
      try {
        return await this.#calls.completeUpload(this.#ref, parts, { withSums: sums, ifAbsent }, signal);
      } catch (error) {
        throw ifAbsent ? await explainCondition(this.#calls, key, error, signal) : error;
      }
    };
    try {
      const ways = listWays(withSums ? ['crc32', 'none'] : ['none'], conditional);
      const sent = await tryWays(ways, ({ checks, ifAbsent }) =>
        attempt(() => send(checks === 'crc32', ifAbsent), { ...patience, worthIt }, signal),
      );
      told = sent.told;
      this.#finished = true;
      if (withSums && sent.way.checks === 'none') offers.partSums = false;
      if (conditional && !sent.way.ifAbsent) offers.conditions = false;
      compareCompleted(fingerprint, told, `complete ${key}`);
      return await compareHeld(this.#calls, this.#settings, this.#object, fingerprint, told, signal);
    } catch (error) {
      if (told !== undefined) throw await removeIfOurs(this.#calls, this.#settings, key, fingerprint, told, error);
      const held = await settleLostAnswer(this.#calls, this.#settings, this.#object, fingerprint, error, sends, signal);
      this.#finished = true;
      return held;
    }
  }

  clearLost(): Promise<void> {
    return this.#begun.clearLost();
  }

  /** Removes what was sent. Tries for a while by itself: the caller's signal may long have aborted. */
  async abandon(): Promise<void> {
    // Parts that arrive after the abort would stay: none may be on its way.
    await Promise.all(this.#inFlight);
    await this.#begun.clearLost();
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
    const { offers, pace, patience } = this.#settings;
    const sent = await tryWays(listWays(weakerChecks(this.#checks), false), ({ checks: kind }) => {
      const checks = makeChecks(bytes, crc32, kind);
      return attempt(() => this.#sendOnce(number, bytes, checks), patience, this.#signal);
    });
    pace.went();
    const { told, way } = sent;
    if (weakerChecks(this.#checks).includes(way.checks)) this.#checks = way.checks;
    if (weakerChecks(offers.checks).includes(way.checks)) offers.checks = way.checks;
    const md5Compared = compareAcknowledged(bytes, crc32, told, what);
    if (told.etag === undefined) throw new Failure('StorageConfigInvalid', `${what}: the server gave no ETag`);
    this.#parts.push({ number, etag: told.etag, crc32, md5Compared });
    this.#pool.give(bytes);
  }

  async #sendOnce(number: number, bytes: Buffer, checks: ReturnType<typeof makeChecks>): Promise<Acknowledged> {
    try {
      return await this.#calls.uploadPart(this.#ref, number, bytes, checks, this.#signal);
    } catch (error) {
      if (error instanceof Throttled) this.#settings.pace.throttled();
      throw error;
    }
  }

  #whyStopped(): unknown {
    return this.#stop.signal.aborted ? this.#stop.signal.reason : abortFailure(this.#signal);
  }
}
