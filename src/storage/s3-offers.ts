import type { Patience } from './attempt.ts';
import type { Condition } from './s3-calls.ts';
import { s3CodeOf } from './s3-errors.ts';
import type { PutOptions } from './storage.ts';

/** What this server has been found to offer; shared by all uploads of a storage. */
export interface Offers {
  checksums: boolean;
  conditions: boolean;
}

export interface UploadSettings {
  readonly partsInFlight: number;
  readonly patience: Patience;
  readonly offers: Offers;
}

/** Servers that do not know a header of ours say so in one of these ways. */
export function isRefusedOption(error: unknown): boolean {
  return ['NotImplemented', 'InvalidArgument', 'InvalidRequest', 'XNotImplemented'].includes(s3CodeOf(error));
}

/** Sends with checksums and condition; a server that refuses is asked without, and what was found is remembered once it worked. */
export async function withOffers<T>(
  offers: Offers,
  options: PutOptions,
  send: (checksums: boolean, condition: Condition) => Promise<T>,
): Promise<T> {
  const wanted = options.onlyIfAbsent === true;
  const ways = [
    { checksums: offers.checksums, conditions: offers.conditions },
    { checksums: offers.checksums, conditions: false },
    { checksums: false, conditions: offers.conditions },
    { checksums: false, conditions: false },
  ].filter(({ conditions }, index) => wanted || !conditions || index === 0);
  const tried = new Set<string>();
  let refusal: unknown;
  for (const { checksums, conditions } of ways) {
    const ifAbsent = wanted && conditions;
    const way = `${checksums} ${ifAbsent}`;
    if (tried.has(way)) continue;
    tried.add(way);
    try {
      const told = await send(checksums, { ifAbsent });
      offers.checksums &&= checksums;
      if (wanted) offers.conditions &&= conditions;
      return told;
    } catch (error) {
      if (!isRefusedOption(error)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}
