import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../.cache/foreign/', import.meta.url));

/** What scripts/foreign/setup made, and what it takes from Debian. */
export const foreignPrograms = {
  gofakes3: `${folder}bin/gofakes3`,
  python: `${folder}venv/bin/python`,
  moto: `${folder}venv/bin/moto_server`,
  proftpd: '/usr/sbin/proftpd',
  rclone: '/usr/bin/rclone',
  nginx: '/usr/sbin/nginx',
} as const;

export type ForeignProgram = keyof typeof foreignPrograms;

/** Why a test cannot run here, or undefined. */
export function whyMissing(program: ForeignProgram): string | undefined {
  return existsSync(foreignPrograms[program]) ? undefined : `${program} is not here: scripts/foreign/setup was not run`;
}
