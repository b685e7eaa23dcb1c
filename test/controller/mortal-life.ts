import type { KubeClient } from '../../src/kube/client.ts';
import { FakeCluster, startController, type Running } from './fake-cluster.ts';
import { Mortal, type Death } from './mortal.ts';

export interface MortalLife {
  readonly cluster: FakeCluster;
  /** Names of the Jobs that the controller and its successor created. */
  readonly jobsMade: readonly string[];
  /** Lets time pass; a controller that has died in it is followed by another one. */
  readonly go: (ms: number) => Promise<void>;
}

export interface MortalOptions {
  readonly startsAt: string;
  /** What is there before. */
  readonly prepare?: (cluster: FakeCluster) => Promise<void>;
  /** The write at which it dies; Infinity: never. */
  readonly diesAt: number;
  readonly death: Death;
  /** What its successor gets before the story goes on. */
  readonly successorMs: number;
}

/** A story with a controller that dies once. @returns what the story tells at its end */
export async function liveMortal<T>(
  { startsAt, prepare, diesAt, death, successorMs }: MortalOptions,
  story: (life: MortalLife) => Promise<T>,
): Promise<{ readonly world: T; readonly died: boolean }> {
  const cluster = new FakeCluster(startsAt);
  const mortal = new Mortal(diesAt, death);
  const jobsMade: string[] = [];
  const client: KubeClient = {
    ...cluster.client,
    create: async (type, object, signal) => {
      const made = await cluster.client.create(type, object, signal);
      if (type.kind === 'Job') jobsMade.push(made.metadata.name ?? '');
      return made;
    },
  };
  await prepare?.(cluster);
  let current: Running = startController(cluster, { client: mortal.wrap(client) });
  let restarted = false;
  const go = async (ms: number): Promise<void> => {
    await cluster.advance(ms);
    if (!mortal.isDead || restarted) return;
    restarted = true;
    await current.stop();
    current = startController(cluster, { client });
    await cluster.advance(successorMs);
  };
  const world = await story({ cluster, jobsMade, go });
  await current.stop();
  return { died: mortal.isDead, world };
}
