import { createServer, connect, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { nextOwnPort } from '../servers/free-port.ts';

/** What happens to one connection; nothing given = it passes as it is. Bytes are counted, so that a fault comes at the same place each time. */
export interface TcpPlan {
  /** After so many bytes in one direction: `reset` (RST), `close` (FIN), or `stall` (nothing passes any more, and nobody is told). */
  readonly cut?: {
    readonly toServer?: number;
    readonly toClient?: number;
    readonly how: 'reset' | 'close' | 'stall';
  };
  /** To the server at most this fast. */
  readonly bytesPerSecond?: number;
  /** What the server says is held back for so long. */
  readonly answerDelayMs?: number;
}

export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** The plan of the connections to come; `index` counts them since the plan was set. */
  plan: (index: number) => TcpPlan;
  /** How many connections met their cut since the plan was set. */
  readonly cuts: () => number;
  /** What is stalled goes on. */
  release(): void;
  /** Resets whoever is stalled or connected. */
  resetAll(): void;
  /** Connections to come go to another server. */
  retarget(target: { readonly host: string; readonly port: number }): void;
  /** Nobody listens any more: connections are refused. Those that stand are reset. */
  refuse(): Promise<void>;
  /** Listens again, on the same port. */
  accept(): Promise<void>;
  stop(): Promise<void>;
}

/** A proxy in front of any TCP server on this machine that cuts, stalls, slows down or refuses as told; `listen`: at which address. */
export async function startTcpProxy(
  target: { readonly host: string; readonly port: number },
  listen = '127.0.0.1',
): Promise<TcpProxy> {
  const passes: TcpProxy['plan'] = () => ({});
  const state = { plan: passes, index: 0, cuts: 0, target };
  const stalled = new Set<() => void>();
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  };
  const resetAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };

  const meet = (client: Socket): void => {
    keep(client);
    const plan = state.plan(state.index);
    state.index += 1;
    const upstream = connect(state.target.port, state.target.host);
    keep(upstream);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    let isCut = false;
    let released: Promise<void> | undefined;
    const cut = (how: 'reset' | 'close' | 'stall'): void => {
      if (isCut || released !== undefined) return;
      state.cuts += 1;
      if (how === 'stall') {
        released = new Promise((resolve) => stalled.add(resolve));
        return;
      }
      isCut = true;
      for (const socket of [client, upstream]) {
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroySoon();
      }
    };
    const pass = async (
      from: Socket,
      to: Socket,
      limit: number | undefined,
      pace: (bytes: number) => Promise<void>,
    ) => {
      let passed = 0;
      for await (const piece of from) {
        const bytes = piece as Buffer;
        await pace(bytes.length);
        await released;
        if (isCut) return;
        const left = limit === undefined ? bytes.length : Math.max(0, Math.min(bytes.length, limit - passed));
        passed += bytes.length;
        if (left > 0 && !to.write(bytes.subarray(0, left))) await drained(to);
        if (limit === undefined || passed < limit) continue;
        cut(plan.cut?.how ?? 'reset');
        await released;
        if (isCut) return;
        if (!to.write(bytes.subarray(left))) await drained(to);
      }
      await released;
      to.end();
    };
    const slowly = async (bytes: number): Promise<void> => {
      if (plan.bytesPerSecond !== undefined) await delay((bytes / plan.bytesPerSecond) * 1000);
    };
    const late = async (): Promise<void> => {
      if (plan.answerDelayMs !== undefined) await delay(plan.answerDelayMs);
    };
    pass(client, upstream, plan.cut?.toServer, slowly).catch(() => upstream.destroy());
    pass(upstream, client, plan.cut?.toClient, late).catch(() => client.destroy());
  };

  let server: Server | undefined;
  // Its own also while it refuses.
  let port = nextOwnPort();
  const accept = async (): Promise<void> => {
    if (server !== undefined) return;
    const fresh = createServer({ allowHalfOpen: true }, meet);
    await new Promise<void>((resolve, reject) => {
      fresh.once('error', reject).listen(port, listen, resolve);
    });
    server = fresh;
  };
  const acceptSomewhere = async (): Promise<void> => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await accept();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === 100) throw error;
        port = nextOwnPort();
      }
    }
  };
  const refuse = async (): Promise<void> => {
    const old = server;
    server = undefined;
    if (old === undefined) return;
    const gone = new Promise<void>((resolve) => old.close(() => resolve()));
    resetAll();
    await gone;
  };
  await acceptSomewhere();
  return {
    host: listen,
    port,
    get plan() {
      return state.plan;
    },
    set plan(plan) {
      state.plan = plan;
      state.index = 0;
      state.cuts = 0;
    },
    cuts: () => state.cuts,
    release: () => {
      for (const go of stalled) go();
      stalled.clear();
    },
    resetAll,
    retarget: (next) => {
      state.target = next;
    },
    refuse,
    accept,
    stop: refuse,
  };
}

async function drained(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
    if (socket.destroyed) done();
  });
}
