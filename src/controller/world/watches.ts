import type { Informer } from '../../kube/informer.ts';
import type { Clock } from '../../support/clock.ts';
import { watchedKinds, type WatchedKind } from './world-indexes.ts';

/** How the caches fare, taken together. */
export interface Watches {
  /** Keeps them warm until the signal aborts. Call it once. */
  run(signal: AbortSignal): Promise<void>;
  /** All have been filled once. */
  hasSynced(): boolean;
  /** Resolves when all have been filled once; rejects with the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
  /** Seconds since the API server last answered about each kind; before its first answer, since the start. */
  contactAges(): readonly { readonly kind: WatchedKind; readonly seconds: number }[];
  /** Which kinds are missing or have had no contact for too long; undefined when all is well. */
  whyNotReady(): string | undefined;
}

/**
 * The longest that a cache may go without contact: more than the longest watch and what a silent one is waited for (200 s, informer.ts),
 * so that a quiet cluster is none, and a few tries.
 */
const contactWithinMs = 5 * 60_000;

export function followWatches(
  informers: Readonly<Record<WatchedKind, Informer>>,
  clock: Clock,
  withinMs = contactWithinMs,
): Watches {
  const startedMs = clock.monotonicMs();
  const contactAges: Watches['contactAges'] = () =>
    watchedKinds.map((kind) => {
      const since = informers[kind].state().lastContactMs ?? startedMs;
      return { kind, seconds: Math.max(0, clock.monotonicMs() - since) / 1000 };
    });

  return {
    run: async (signal) => {
      await Promise.all(watchedKinds.map((kind) => informers[kind].run(signal)));
    },
    hasSynced: () => watchedKinds.every((kind) => informers[kind].hasSynced()),
    whenSynced: async (signal) => {
      await Promise.all(watchedKinds.map((kind) => informers[kind].whenSynced(signal)));
    },
    contactAges,
    whyNotReady: () => {
      const missing = watchedKinds.filter((kind) => !informers[kind].hasSynced());
      if (missing.length > 0) return `the caches are not filled yet: ${missing.join(', ')}`;
      const silent = contactAges().filter(({ seconds }) => seconds * 1000 > withinMs);
      if (silent.length === 0) return undefined;
      return `no contact: ${silent.map(({ kind, seconds }) => `${kind} for ${Math.floor(seconds)} s`).join(', ')}`;
    },
  };
}
