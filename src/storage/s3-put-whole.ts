import { attempt } from './attempt.ts';
import type { Acknowledged, NewObject, S3Calls } from './s3-calls.ts';
import { compareAcknowledged, crc32Of, fingerprintOf, makeChecks } from './s3-checks.ts';
import { explainCondition, listWays, tryWays, type UploadSettings, weakerChecks } from './s3-offers.ts';
import { compareHeld, refuseExisting, removeIfOurs, settleLostAnswer } from './s3-settle.ts';
import type { StoredObject } from './storage.ts';

/** Stores what fits one part with one request. */
export async function putWhole(
  calls: S3Calls,
  settings: UploadSettings,
  object: NewObject,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<StoredObject> {
  const { offers, patience } = settings;
  const { key } = object;
  const crc32 = crc32Of(bytes);
  const fingerprint = fingerprintOf(bytes, crc32);
  await refuseExisting(calls, settings, object, signal);
  const conditional = object.ifAbsent && offers.conditions;
  let told: Acknowledged | undefined;
  let sends = 0;
  const send = async (checks: ReturnType<typeof makeChecks>, ifAbsent: boolean): Promise<Acknowledged> => {
    sends += 1;
    try {
      return await calls.putObject({ ...object, ifAbsent }, bytes, checks, signal);
    } catch (error) {
      throw ifAbsent ? await explainCondition(calls, key, error, signal) : error;
    }
  };
  try {
    const sent = await tryWays(listWays(weakerChecks(offers.checks), conditional), ({ checks, ifAbsent }) =>
      attempt(() => send(makeChecks(bytes, crc32, checks), ifAbsent), patience, signal),
    );
    told = sent.told;
    offers.checks = sent.way.checks;
    if (conditional && !sent.way.ifAbsent) offers.conditions = false;
    compareAcknowledged(bytes, crc32, told, `put ${key}`);
    return await compareHeld(calls, settings, object, fingerprint, told, signal);
  } catch (error) {
    if (told !== undefined) throw await removeIfOurs(calls, settings, key, fingerprint, told, error);
    return await settleLostAnswer(calls, settings, object, fingerprint, error, sends, signal);
  }
}
