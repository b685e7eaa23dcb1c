import type { Bytes, Stage } from '../pipeline/bytes.ts';
import { Failure } from '../api/failure.ts';
import { backupKeyName } from './encrypt-bytes.ts';
import { aesKeyring, client, frameBytes, suiteName } from './message-client.ts';
import { untilEnd } from './message-end.ts';
import { NoMessage, type MessageHead } from './message-head.ts';
import { compareContext } from './compare-context.ts';
import { throughDuplex } from './through-duplex.ts';

/**
 * A stage: reads what `encryptBytes` wrote. A frame is given out when it has proved itself; what ends is whole, as it was written, and
 * nothing stood behind it.
 * @param context what the bytes must be; all of it, and nothing else unless `mayHaveMore`
 * @throws Failure BackupDamaged for a bit that was changed, an end that came early, frames in another order, another key or other bytes
 *   than those of `context`
 */
export function decryptBytes(key: Uint8Array, context: Readonly<Record<string, string>>, mayHaveMore = false): Stage {
  const onHead = ({ suite, frameBytes: frame, context: has }: MessageHead): void => {
    if (suite !== suiteName || frame !== frameBytes) throw damaged('it is not written as ours are');
    compareContext(has, context, damaged, mayHaveMore);
  };
  return (source: Bytes) => read(source, key, onHead);
}

async function* read(
  source: Bytes,
  key: Uint8Array,
  onHead: (head: MessageHead) => void,
): AsyncGenerator<Uint8Array, void, void> {
  const origin: { failed?: { readonly error: unknown } } = {};
  const watched = watch(source, origin);
  const stream = client.decryptUnsignedMessageStream(aesKeyring(backupKeyName, key), { maxBodySize: frameBytes });
  try {
    yield* throughDuplex(untilEnd(watched, onHead), stream);
  } catch (error) {
    if (origin.failed !== undefined) throw origin.failed.error;
    if (error instanceof Failure) throw error;
    if (error instanceof NoMessage) throw damaged(error.message, error);
    throw damaged('it was changed, or is under another key', error);
  }
}

/** Tells what the source threw from what the library throws. */
async function* watch(
  source: Bytes,
  origin: { failed?: { readonly error: unknown } },
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* source;
  } catch (error) {
    origin.failed = { error };
    throw error;
  }
}

function damaged(what: string, cause?: unknown): Failure {
  return new Failure('BackupDamaged', `encrypted bytes cannot be read: ${what}`, { cause });
}
