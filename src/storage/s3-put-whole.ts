import { attempt } from './attempt.ts';
import type { Acknowledged, S3Calls } from './s3-calls.ts';
import { compareAcknowledged, crc32Of, type Fingerprint, makeChecks, md5Of } from './s3-checks.ts';
import { type UploadSettings, withOffers } from './s3-offers.ts';
import { compareHeld, refuseExisting, removeIfOurs, settleLostAnswer } from './s3-settle.ts';
import type { PutOptions, StoredObject } from './storage.ts';

/** Stores what fits one part with one request. */
export async function putWhole(
  calls: S3Calls,
  settings: UploadSettings,
  key: string,
  bytes: Buffer,
  options: PutOptions,
  signal: AbortSignal,
): Promise<StoredObject> {
  const what = `put ${key}`;
  const crc32 = crc32Of(bytes);
  const fingerprint: Fingerprint = { bytes: bytes.length, etag: md5Of(bytes).toString('hex'), crc32 };
  await refuseExisting(calls, settings, key, options, signal);
  let told: Acknowledged | undefined;
  let sends = 0;
  try {
    told = await withOffers(settings.offers, options, (checksums, condition) =>
      attempt(
        () => {
          sends += 1;
          return calls.putObject(key, bytes, makeChecks(bytes, crc32, checksums), condition, signal);
        },
        settings.patience,
        signal,
      ),
    );
    compareAcknowledged(bytes, crc32, told, what);
    return await compareHeld(calls, settings, key, bytes.length, told, signal);
  } catch (error) {
    if (told !== undefined) throw await removeIfOurs(calls, settings, key, fingerprint, told, error);
    return await settleLostAnswer(calls, settings, key, fingerprint, error, sends, signal);
  }
}
