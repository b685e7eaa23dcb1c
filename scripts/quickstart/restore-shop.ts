import { digestDatabase, findDifferences } from './compare-databases.ts';
import { accident } from './sample.ts';
import type { Screen } from './screen.ts';
import { showSame } from './show-same.ts';
import type { Servers } from './start-servers.ts';

/**
 * Breaks the database, lets `restore` bring it back, and shows that it is what it was, and what became of the broken one.
 * @throws Error with the first thing that does not hold
 */
export async function restoreShop({ postgres }: Servers, screen: Screen, restore: () => Promise<void>): Promise<void> {
  const before = await digestDatabase(postgres, 'shop');
  screen.line();
  await screen.step('an accident in shop', async () => {
    await postgres.sql(accident, 'shop');
    const damaged = findDifferences(before, await digestDatabase(postgres, 'shop'));
    if (damaged.length === 0) throw new Error('nothing was damaged');
    const names = [...new Set(damaged)].map((name) => name.replace(/^public\./, ''));
    return { value: undefined, detail: `${names.join(', ')} are not what they were` };
  });
  await restore();
  screen.line();
  showSame(before, await digestDatabase(postgres, 'shop'), screen);
  const databases = await postgres.sql<{ name: string }>(
    "SELECT datname AS name FROM pg_database WHERE datname LIKE '%shop%' AND datname <> 'shop' ORDER BY 1",
  );
  const [kept, ...others] = databases.map(({ name }) => name);
  if (kept === undefined || others.length > 0) {
    throw new Error(`beside shop there is not just the replaced database: ${[kept, ...others].join(', ')}`);
  }
  const [lost] = await postgres.sql<{ rows: string }>(
    "SELECT count(*) AS rows FROM customers WHERE name = 'after the accident'",
    kept,
  );
  if (lost?.rows !== '10') throw new Error(`${kept} is not the database that was replaced`);
  screen.ok(`${kept}: the damaged database, with the 10 customers who came after the accident`);
}
