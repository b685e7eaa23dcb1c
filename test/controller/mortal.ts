import { KubeError, type KubeClient } from '../../src/kube/client.ts';

/** How a process dies around its nth write: the write was done and nobody heard, or it was not done. */
export type Death = 'after the write' | 'before the write';

/** A client of a process that dies at its nth write; events do not count. */
export class Mortal {
  writes = 0;
  readonly #diesAt: number;
  readonly #death: Death;

  constructor(diesAt: number, death: Death) {
    this.#diesAt = diesAt;
    this.#death = death;
  }

  get isDead(): boolean {
    return this.writes >= this.#diesAt;
  }

  wrap(client: KubeClient): KubeClient {
    const dead = (): KubeError => new KubeError('Unreachable', 'the process is dead');
    const write = async <T>(perform: () => Promise<T>): Promise<T> => {
      if (this.isDead) throw dead();
      this.writes += 1;
      if (this.isDead && this.#death === 'before the write') throw dead();
      const answer = await perform();
      if (this.isDead) throw dead();
      return answer;
    };
    return {
      ...client,
      create: (...all) => (all[0].kind === 'Event' ? client.create(...all) : write(() => client.create(...all))),
      put: (...all) => (all[0].kind === 'Event' ? client.put(...all) : write(() => client.put(...all))),
      putStatus: (...all) => write(() => client.putStatus(...all)),
      delete: (...all) => write(() => client.delete(...all)),
    };
  }
}
