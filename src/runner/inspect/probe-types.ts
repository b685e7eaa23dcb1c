import type { InspectVerdict, PlaceOffers } from '../../domain/report.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Clock, Random } from '../../support/clock.ts';

export type Operation = NonNullable<InspectVerdict['failedOperation']>;

/** One try of one inspector at a place. */
export interface Probe {
  readonly storage: Storage;
  readonly inspector: string;
  readonly attempt: string;
  /** Store a part of full size, too. */
  readonly fullPart: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

export type Step = readonly [Operation, () => Promise<PlaceOffers | void>];
