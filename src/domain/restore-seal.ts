import { z } from 'zod';
import type { RestoredSource } from '../api/restore-spec.ts';
import { fitSource, readSource } from './fit-source.ts';

/**
 * What a restore leaves with a database, in the transaction that changes it, and sealed (postgres/database-seal.ts): whoever comes after
 * a death reads there how far it came. `swapped`: it took its target's place; all targets of the request did. `loading`: a load in place
 * began; seen from outside only when a script ended the load's transaction. `loaded`: a load in place is committed, checks and all.
 */
export const sealKinds = ['swapped', 'loading', 'loaded'] as const;

const seal = z.object({
  v: z.literal(1),
  is: z.enum(sealKinds),
  /** Name under which the replaced database stays. */
  previous: z.string().optional(),
  /** How much of it the server refused; absent: nothing. */
  refused: z.int().optional(),
  source: z.unknown().transform(readSource).optional(),
});

export interface RestoreSeal {
  readonly is: (typeof sealKinds)[number];
  readonly previous?: string | undefined;
  readonly refused?: number | undefined;
  readonly source?: RestoredSource | undefined;
}

export function printRestoreSeal({ source, ...rest }: RestoreSeal): string {
  const told = source === undefined ? {} : { source: fitSource(source) };
  return JSON.stringify({ v: 1, ...rest, ...told } satisfies z.input<typeof seal>);
}

/** Undefined: another version wrote it. */
export function parseRestoreSeal(text: string): RestoreSeal | undefined {
  try {
    const parsed = seal.safeParse(JSON.parse(text));
    if (!parsed.success) return undefined;
    const { v: _v, ...rest } = parsed.data;
    return rest;
  } catch {
    return undefined;
  }
}
