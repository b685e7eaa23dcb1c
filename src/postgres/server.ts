export type TlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

export interface ServerTls {
  /** As sslmode of libpq: require encrypts without checking who answers. Does not count on a unix socket. */
  readonly mode: TlsMode;
  /** Certificate authorities, PEM; without it those of Node (Mozilla's, and NODE_EXTRA_CA_CERTS). */
  readonly ca?: string;
  /** PEM; to log in with. */
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  /** With mode disable: a server that asks for the password itself gets it. */
  readonly allowCleartextPassword?: boolean;
}

/** A PostgreSQL server, and how to log in there. Holds secrets: never to be logged. */
export interface Server {
  /** Name, address (IPv6 without brackets), or the folder of a unix socket (starts with `/`). */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly tls: ServerTls;
  /** The database to connect to for looking around. */
  readonly database: string;
  /** Settings that every session starts with (steady-session.ts); known once the server's major is, and only without a pooler. */
  readonly startupOptions?: string;
  /** What sessions call themselves in pg_stat_activity; `applicationName` if absent. */
  readonly sessionName?: string;
}

/** What a connection calls itself in pg_stat_activity. */
export const applicationName = 'pgbackup';

/** For messages: `host:port`, without secrets. */
export function serverAddress(server: Pick<Server, 'host' | 'port'>): string {
  return server.host.includes(':') ? `[${server.host}]:${server.port}` : `${server.host}:${server.port}`;
}

export function isSocket(server: Pick<Server, 'host'>): boolean {
  return server.host.startsWith('/');
}

/** Whether a password would travel where others can read it, and may not. */
export function refusesCleartext(server: Pick<Server, 'host' | 'tls'>): boolean {
  return server.tls.mode === 'disable' && server.tls.allowCleartextPassword !== true && !isSocket(server);
}
