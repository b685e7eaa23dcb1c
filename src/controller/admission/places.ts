import type { QueueEntry } from './entry.ts';

export interface Limits {
  /** Backups at once. */
  readonly runs: number;
  /** Restores at once. */
  readonly restores: number;
  /** Runs of one server at once, of each kind. */
  readonly perServer: number;
}

/** A limit that is reached, for people. */
export interface Full {
  readonly count: number;
  readonly what: string;
}

type Run = Pick<QueueEntry, 'kind' | 'namespace' | 'server'>;

/**
 * The places that are taken. Runs that work take them from everybody; runs that do not (idle) only from their own namespace, which may
 * have twice as many of both together as there are places.
 */
export class Places {
  readonly #limits: Limits;
  readonly #working = new Map<string, number>();
  readonly #idle = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  take(run: Run, isIdle: boolean): void {
    const counts = isIdle ? this.#idle : this.#working;
    for (const scope of scopesOf(run)) counts.set(scope, (counts.get(scope) ?? 0) + 1);
  }

  /** None of this kind is left for anybody. */
  areGone(kind: QueueEntry['kind']): boolean {
    return this.#of(this.#working, kind) >= this.#limitOf(kind);
  }

  /** Runs of this kind and namespace: that work, and that do not. */
  takenBy({ kind, namespace }: Run): { readonly working: number; readonly idle: number } {
    const scope = `${kind} ${namespace}`;
    return { working: this.#of(this.#working, scope), idle: this.#of(this.#idle, scope) };
  }

  /** Why this run gets no place; undefined: there is one. */
  findFull({ kind, namespace, server }: Run): Full | undefined {
    const { perServer } = this.#limits;
    const limit = this.#limitOf(kind);
    const word = kind === 'backup' ? 'backups' : 'restores';
    if (this.areGone(kind)) return { count: limit, what: `${word} go on or come first` };
    // Restores wait for restores only; backups make room for both.
    const restoring = this.#of(this.#working, `restore @${server}`);
    const dumping = kind === 'backup' ? this.#of(this.#working, `backup @${server}`) : 0;
    if (restoring + dumping >= perServer) {
      return { count: perServer, what: 'runs of the same server go on or come first' };
    }
    const own = this.#both(`${kind} ${namespace}`);
    if (own >= 2 * limit) return { count: own, what: `${word} of this namespace go on or cannot` };
    const there = this.#both(`${kind} ${namespace}@${server}`);
    if (there >= 2 * perServer) return { count: there, what: `${word} of the same server go on or cannot` };
    return undefined;
  }

  #limitOf(kind: QueueEntry['kind']): number {
    return kind === 'backup' ? this.#limits.runs : this.#limits.restores;
  }

  #both(scope: string): number {
    return this.#of(this.#working, scope) + this.#of(this.#idle, scope);
  }

  #of(counts: ReadonlyMap<string, number>, scope: string): number {
    return counts.get(scope) ?? 0;
  }
}

/** All, its server, its namespace, and its namespace at its server. Names of namespaces hold neither space nor at sign. */
function scopesOf({ kind, namespace, server }: Run): readonly string[] {
  return [kind, `${kind} @${server}`, `${kind} ${namespace}`, `${kind} ${namespace}@${server}`];
}
