import { Client } from 'pg';
import type { Postgres } from '../servers/postgres.ts';

/** A PostgreSQL server that somebody else started and stops. */
export type DatabaseServer = Pick<Postgres, 'host' | 'port' | 'user' | 'password' | 'binDir' | 'sql'>;

/** What it takes to reach it; can be handed to another process. */
export type ServerAddress = Omit<DatabaseServer, 'sql'>;

export function reachServer(address: ServerAddress): DatabaseServer {
  const { host, port, user, password } = address;
  return {
    ...address,
    sql: async <Row extends object>(text: string, database = 'postgres') => {
      const client = new Client({ host, port, user, password, database });
      // Whoever terminates backends may terminate ours; the statement says so then.
      client.on('error', () => undefined);
      await client.connect();
      try {
        const result: { rows: Row[] } | { rows: Row[] }[] = await client.query(text);
        return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
      } finally {
        await client.end();
      }
    },
  };
}
