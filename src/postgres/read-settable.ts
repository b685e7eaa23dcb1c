import type { Connection } from './connection.ts';
import { privilegedNames } from './steady-session.ts';

/** The privileged settings that this user may change. Without a right to look there is none. */
export async function readSettable(connection: Connection, serverMajor: number): Promise<readonly string[]> {
  const granted = serverMajor >= 15 ? "pg_catalog.has_parameter_privilege(name, 'SET')" : 'false';
  const rows = await connection.query<{ name: string }>(
    `SELECT name FROM pg_catalog.pg_settings
      WHERE name = ANY ($1) AND (pg_catalog.current_setting('is_superuser') = 'on' OR ${granted})`,
    [privilegedNames],
  );
  return rows.map(({ name }) => name);
}
