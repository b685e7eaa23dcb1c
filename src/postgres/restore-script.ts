import { Failure } from '../api/failure.ts';
import type { Bytes } from '../pipeline/bytes.ts';

/** The preamble is some 600 bytes; a line that is none of its own ends it. */
const maxPreambleBytes = 64 * 1024;
/** COMMIT and what pg_restore writes after it are some 200 bytes. */
const heldBytes = 4096;

/** plain: it has no transaction; commit: pg_restore's own; rollback: its COMMIT is taken back. */
export type ScriptEnd = 'plain' | 'commit' | 'rollback';

export interface ScriptFrame {
  /** Settings that the server does not know. */
  readonly without: readonly string[];
  /** For \restrict, when pg_restore is too old to write it. */
  readonly key: string;
  /** psql prints it when the script ran to its end. */
  readonly proof: string;
  readonly end: ScriptEnd;
  /** Called before the end of the script, with its COMMIT, is let through. */
  readonly beforeEnd: () => Promise<void>;
}

/**
 * What psql gets of a script of pg_restore: without the settings of `frame` among its first lines (exactly as pg_restore writes
 * them, and before the first object only), everything else untouched. The last 4 KiB come only after the script was written
 * well and `beforeEnd` agreed.
 */
export async function* frameScript(script: Bytes, frame: ScriptFrame): AsyncGenerator<Uint8Array, void, void> {
  let preamble: Buffer | undefined = Buffer.alloc(0);
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of script) {
    let piece = chunk;
    if (preamble !== undefined) {
      preamble = Buffer.concat([preamble, chunk]);
      const filtered = filterPreamble(preamble, frame);
      if (filtered === undefined) continue;
      preamble = undefined;
      piece = filtered;
    }
    if (piece.length < heldBytes) {
      piece = Buffer.concat([held, piece]);
      held = new Uint8Array(0);
    } else if (held.length > 0) {
      yield held;
      held = new Uint8Array(0);
    }
    const passed = Math.max(0, piece.length - heldBytes);
    if (passed > 0) yield piece.subarray(0, passed);
    held = piece.subarray(passed);
  }
  if (preamble !== undefined) held = filterPreamble(preamble, frame, true) ?? preamble;
  await frame.beforeEnd();
  yield frame.end === 'rollback' ? withRollback(Buffer.from(held)) : held;
  yield Buffer.from(`\nSELECT '${frame.proof}';\n`);
}

const ending =
  /\nCOMMIT;\n\n--\n-- PostgreSQL database dump complete\n--\n(?:-- Completed on [^\n]*\n)?\s*(?:\\unrestrict \w+\s*)?$/;

function withRollback(tail: Buffer): Buffer {
  const at = tail.toString('latin1').search(ending);
  // Thrown before anything of the tail was given away: psql is ended, and with it the transaction.
  if (at < 0)
    throw new Failure('RestoreFailed', 'the script of pg_restore does not end as it should: nothing was tried');
  return Buffer.concat([tail.subarray(0, at), Buffer.from('\nROLLBACK;\n'), tail.subarray(at + '\nCOMMIT;\n'.length)]);
}

const preambleLine =
  /^(?:|--|-- PostgreSQL database dump|-- Dumped (?:from|by) [^\n]*|-- Started on [^\n]*|\\restrict \w+|BEGIN;|SET [a-z_]+ = [^;\n]*;|SET ROLE [^\n]*;|SELECT pg_catalog\.set_config\('search_path', '[^\n]*', false\);)$/;

/** Undefined: the preamble goes on. Works on bytes: the rest is in whatever encoding. */
function filterPreamble(head: Buffer, frame: ScriptFrame, isEnd = false): Buffer | undefined {
  const kept: Buffer[] = [];
  let isRestricted = false;
  let offset = 0;
  for (;;) {
    const end = head.indexOf(0x0a, offset);
    if (end < 0) {
      if (!isEnd && head.length <= maxPreambleBytes) return undefined;
      break;
    }
    const line = head.subarray(offset, end).toString('latin1');
    if (!preambleLine.test(line)) break;
    if (line.startsWith('\\restrict ')) isRestricted = true;
    if (!frame.without.some((setting) => line.startsWith(`SET ${setting} = `)))
      kept.push(head.subarray(offset, end + 1));
    offset = end + 1;
  }
  const start = isRestricted ? '' : `\\restrict ${frame.key}\n`;
  return Buffer.concat([Buffer.from(start), ...kept, head.subarray(offset)]);
}

/** Fails unless psql printed the proof. */
export function checkProof(output: string, proof: string, failure: () => Failure): void {
  if (!output.includes(proof)) throw failure();
}
