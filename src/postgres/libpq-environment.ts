import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { Failure } from '../api/failure.ts';
import { applicationName, refusesCleartext, type Server } from './server.ts';

const connectTimeoutSeconds = 30;

/**
 * Keepalives have no environment variables, so they go by a service file: a peer that vanished (node lost, firewall) is noticed
 * after about two minutes instead of two hours.
 */
const serviceFile = `[${applicationName}]
keepalives=1
keepalives_idle=60
keepalives_interval=10
keepalives_count=6
tcp_user_timeout=120000
`;

/**
 * The whole environment for pg_dump, pg_dumpall and pg_restore, without the database. Secrets go into files of mode 0600
 * below `dir`, which must belong to us alone: neither arguments nor environment of a process are private. To be called once for
 * each `dir`. Throws `SecretInvalid` for a password that a password file cannot hold.
 */
export async function libpqEnvironment(server: Server, dir: string): Promise<Readonly<Record<string, string>>> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const write = async (name: string, content: string): Promise<string> => {
    const path = join(dir, name);
    await writeFile(path, content, { mode: 0o600, flag: 'wx' });
    return path;
  };
  const { mode, ca, clientCertificate, clientKey } = server.tls;
  const verifies = mode === 'verify-ca' || mode === 'verify-full';
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    // Reasons are read from messages.
    LC_ALL: 'C',
    // Nothing of the user's own ~/.postgresql, ~/.pgpass or ~/.pg_service.conf may count.
    HOME: dir,
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: server.user,
    PGAPPNAME: server.sessionName ?? applicationName,
    PGCONNECT_TIMEOUT: String(connectTimeoutSeconds),
    ...(server.startupOptions === undefined ? {} : { PGOPTIONS: server.startupOptions }),
    PGGSSENCMODE: 'disable',
    PGSSLMODE: mode,
    // Known since 16; those of 15 rely on our own login before (cleartext-password.ts).
    ...(refusesCleartext(server) ? { PGREQUIREAUTH: '!password' } : {}),
    PGSERVICEFILE: await write('service.conf', serviceFile),
    PGSERVICE: applicationName,
    PGPASSFILE:
      server.password === undefined ? join(dir, 'no-passfile') : await write('passfile', passfile(server.password)),
    // With `require`, libpq would verify as soon as it finds some root.crt.
    PGSSLROOTCERT: verifies ? await write('ca.pem', ca ?? getCACertificates('default').join('\n')) : join(dir, 'no-ca'),
    PGSSLCERT:
      clientCertificate === undefined ? join(dir, 'no-certificate') : await write('client.pem', clientCertificate),
    PGSSLKEY: clientKey === undefined ? join(dir, 'no-key') : await write('client.key', clientKey),
  };
}

/** One line for whatever libpq asks; backslash and colon are escaped, a line break cannot be. */
function passfile(password: string): string {
  if (/[\r\n\0]/.test(password)) {
    throw new Failure('SecretInvalid', 'the password holds a line break', {
      hint: 'Secrets made from files often end with one: take it away, or set another password.',
    });
  }
  return `*:*:*:*:${password.replaceAll(/[\\:]/g, String.raw`\$&`)}\n`;
}
