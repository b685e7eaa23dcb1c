import type { Bytes } from '../pipeline/bytes.ts';
import { NoMessage, readMessageHead, type MessageHead } from './message-head.ts';

const [numberBytes, ivBytes, tagBytes] = [4, 12, 16];
/** Stands before the number of the last frame, which has its length as well. */
const lastMark = 0xffff_ffff;
const headBytes = numberBytes + ivBytes;
const lastHeadBytes = numberBytes + numberBytes + ivBytes + numberBytes;

/**
 * Passes a message on and refuses what stands behind its last frame: the library takes that for a part of a signature, holds all of it in
 * memory, and says nothing. Whether it ended early is left to the library.
 * @param onHead is told the head before a byte is passed on
 * @throws NoMessage
 */
export async function* untilEnd(
  source: Bytes,
  onHead: (head: MessageHead) => void,
): AsyncGenerator<Uint8Array, void, void> {
  let start: Uint8Array | undefined = new Uint8Array(0);
  let frames: FrameWalk | undefined;
  for await (const chunk of source) {
    if (start === undefined) {
      frames?.walk(chunk, 0);
      yield chunk;
      continue;
    }
    const grown: Uint8Array = start.length === 0 ? chunk : Buffer.concat([start, chunk]);
    const head = readMessageHead(grown);
    start = grown;
    if (head === undefined) continue;
    onHead(head);
    frames = walkFrames(head.frameBytes);
    frames.walk(grown, head.bytes);
    start = undefined;
    yield grown;
  }
  if (start !== undefined) throw new NoMessage('it ends within its head');
}

interface FrameWalk {
  /** @throws NoMessage when there is something behind the last frame */
  readonly walk: (chunk: Uint8Array, from: number) => void;
}

/** Counts frames, whose bytes it does not look at. */
export function walkFrames(frameBytes: number): FrameWalk {
  const head = Buffer.alloc(lastHeadBytes);
  let filled = 0;
  /** Of body and tag of the frame whose head is known. */
  let left = 0;
  let isLast = false;

  const step = (chunk: Uint8Array, at: number): number => {
    if (left > 0) {
      const taken = Math.min(left, chunk.length - at);
      left -= taken;
      return taken;
    }
    if (isLast) throw new NoMessage('there are bytes behind its last frame');
    const isMarked = filled >= numberBytes && head.readUInt32BE(0) === lastMark;
    let wanted = numberBytes;
    if (filled >= numberBytes) wanted = isMarked ? lastHeadBytes : headBytes;
    const taken = Math.min(wanted - filled, chunk.length - at);
    head.set(chunk.subarray(at, at + taken), filled);
    filled += taken;
    if (filled < wanted || wanted === numberBytes) return taken;
    const body = isMarked ? head.readUInt32BE(lastHeadBytes - numberBytes) : frameBytes;
    if (body > frameBytes) throw new NoMessage('a frame of it is longer than it may be');
    left = body + tagBytes;
    filled = 0;
    isLast = isMarked;
    return taken;
  };
  return {
    walk: (chunk: Uint8Array, from: number): void => {
      for (let at = from; at < chunk.length;) at += step(chunk, at);
    },
  };
}
