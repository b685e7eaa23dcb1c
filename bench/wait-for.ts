import { setTimeout as delay } from 'node:timers/promises';

/** Looks every quarter of a second until it is true. @throws Error that names what was waited for, after the time is over */
export async function waitFor(what: string, look: () => Promise<boolean>, limitMs = 120_000): Promise<void> {
  const endsAt = performance.now() + limitMs;
  while (!(await look())) {
    if (performance.now() > endsAt) throw new Error(`waited in vain until ${what}`);
    await delay(250);
  }
}
