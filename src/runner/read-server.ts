import type { TaskPostgresSource } from '../domain/task.ts';
import { parseUri } from '../postgres/server-uri.ts';
import type { Server, ServerTls } from '../postgres/server.ts';
import type { Secrets } from './secrets.ts';

/**
 * The server of a task, with its secrets. With `host` the uri only logs in (if there is no user name and password beside it);
 * without, the uri says where the server is, and its sslmode goes before the task's.
 * @throws Failure SecretMissing, SecretInvalid
 */
export async function readServer(source: TaskPostgresSource, secrets: Secrets, signal: AbortSignal): Promise<Server> {
  const { host, port, maintenanceDatabase, credentials } = source;
  const tls = await readTls(source.tls, secrets, signal);
  const { username, password, uri } = await secrets.read(
    credentials,
    host === undefined
      ? { oneOf: [['uri']] }
      : {
          oneOf: [
            ['username', 'password'],
            ['uri'],
            // A certificate may be all that logs in.
            ...(tls.clientCertificate === undefined ? [] : [['username']]),
          ],
        },
    signal,
  );
  const logsInByName = password !== undefined || uri === undefined || tls.clientCertificate !== undefined;
  if (host !== undefined && username !== undefined && logsInByName) {
    return {
      host,
      port,
      user: username,
      ...(password === undefined ? {} : { password }),
      tls,
      database: maintenanceDatabase ?? 'postgres',
    };
  }
  const { tlsMode, database, ...found } = parseUri(uri ?? '');
  const where = host === undefined ? {} : { host, port };
  return {
    ...found,
    ...where,
    tls: host === undefined && tlsMode !== undefined ? { ...tls, mode: tlsMode } : tls,
    database: maintenanceDatabase ?? database ?? 'postgres',
  };
}

async function readTls(tls: TaskPostgresSource['tls'], secrets: Secrets, signal: AbortSignal): Promise<ServerTls> {
  const { mode, ca, clientCertificate, allowCleartextPassword } = tls;
  const authorities = ca === undefined ? {} : await secrets.read(ca, { oneOf: [['ca']] }, signal);
  const own =
    clientCertificate === undefined
      ? {}
      : await secrets.read(clientCertificate, { oneOf: [['certificate', 'privateKey']] }, signal);
  return {
    mode,
    ...(allowCleartextPassword === undefined ? {} : { allowCleartextPassword }),
    ...(authorities.ca === undefined ? {} : { ca: authorities.ca }),
    ...(own.certificate === undefined ? {} : { clientCertificate: own.certificate }),
    ...(own.privateKey === undefined ? {} : { clientKey: own.privateKey }),
  };
}
