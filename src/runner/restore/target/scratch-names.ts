import { createHash } from 'node:crypto';
import { compactTime } from '../../../domain/names.ts';

/** Identifiers of PostgreSQL have at most this many bytes. */
const nameMaxBytes = 63;

/** 12 hex digits that a request has for itself. */
export function requestDigits(requestUid: string): string {
  const digits = requestUid.replaceAll('-', '').toLowerCase();
  if (/^[0-9a-f]{32}$/.test(digits)) return digits.slice(0, 12);
  return createHash('sha256').update(requestUid).digest('hex').slice(0, 12);
}

/**
 * Where a database is restored until it takes its target's place; `index` counts the request's targets from 0. Each try has its own,
 * so that one that still lives somewhere never writes into another's.
 */
export function scratchName(requestUid: string, attempt: string, index: number): string {
  return `pgbackup_restore_${requestDigits(requestUid)}_${attempt}${suffix(index)}`;
}

/** What a replaced database is called for as long as it takes to drop it. */
export function replacedName(requestUid: string, index: number): string {
  return `pgbackup_replaced_${requestDigits(requestUid)}${suffix(index)}`;
}

/** POSIX patterns for all of a request's, of any try. */
export function scratchPattern(requestUid: string): string {
  return `^pgbackup_restore_${requestDigits(requestUid)}_[0-9a-f]{8}(_[0-9]+)?$`;
}
export function replacedPattern(requestUid: string): string {
  return `^pgbackup_replaced_${requestDigits(requestUid)}(_[0-9]+)?$`;
}

/** What sessions of a request call themselves. */
export function sessionName(requestUid: string): string {
  return `pgbackup restore ${requestDigits(requestUid)}`;
}

/** `<target>_20260101t030000z`, cut so that it fits, and unlike the names that are taken. */
export function previousName(target: string, nowMs: number, taken: (name: string) => boolean): string {
  const time = compactTime(nowMs);
  for (let number = 1; ; number += 1) {
    const end = number === 1 ? `_${time}` : `_${time}_${number}`;
    const name = `${cutBytes(target, nameMaxBytes - Buffer.byteLength(end))}${end}`;
    if (!taken(name)) return name;
  }
}

function suffix(index: number): string {
  return index === 0 ? '' : `_${index + 1}`;
}

/** By whole characters. */
function cutBytes(text: string, bytes: number): string {
  let cut = '';
  for (const character of text) {
    if (Buffer.byteLength(cut + character) > bytes) break;
    cut += character;
  }
  return cut;
}
