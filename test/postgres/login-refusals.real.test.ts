import { expect, test } from 'vitest';
import type { Failure } from '../../src/api/failure.ts';
import type { FailureReason } from '../../src/api/reasons.ts';
import { waitForServer } from '../../src/postgres/wait-for-server.ts';
import { rejection } from '../pipeline/streams.ts';
import { startRefusingPostgres } from '../servers/refusing-postgres.ts';

const never = new AbortController().signal;

/** Waits in a time that passes by itself. */
async function meet(code: string, words: string, budgetMs = 900_000) {
  const server = await startRefusingPostgres(code, words);
  let nowMs = 0;
  const clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (milliseconds: number) => void (nowMs += milliseconds),
  };
  const { host, port } = server;
  const at = { host, port, user: 'app', password: 'TOPSECRET', tls: { mode: 'disable' }, database: 'shop' } as const;
  const told: string[] = [];
  try {
    const options = { budgetMs, clock, onWaiting: (failure: Failure) => void told.push(failure.message) };
    const failure = (await rejection(waitForServer(at, options, never))) as Failure;
    const { reason, message, hint } = failure;
    return { reason, message, hint, waitedMs: nowMs, told, logins: server.logins() };
  } finally {
    await server.stop();
  }
}

/** Collected from PgBouncer, Supavisor, PgCat, Odyssey, pgpool, Neon and managed servers. */
const final: readonly (readonly [string, string, FailureReason])[] = [
  ['XX000', 'Tenant or user not found', 'AuthenticationFailed'],
  ['XX000', '(ENOTFOUND) tenant/user postgres.abc not found', 'AuthenticationFailed'],
  ['XX000', '(EAUTHQUERY) authentication query failed: user not found', 'AuthenticationFailed'],
  [
    'XX000',
    '(ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked',
    'AuthenticationFailed',
  ],
  ['XX000', 'SSL connection is required', 'TlsFailed'],
  ['08P01', 'SASL authentication failed', 'AuthenticationFailed'],
  ['08P01', 'no such user', 'AuthenticationFailed'],
  ['08P01', 'no such user: app', 'AuthenticationFailed'],
  ['08P01', 'no such database: shop', 'DatabaseMissing'],
  ['08P01', 'server login failed: wrong password type', 'AuthenticationFailed'],
  ['08P01', 'password authentication failed', 'AuthenticationFailed'],
  [
    '08P01',
    'server login has been failing, cached error: password authentication failed for user "app" (server_login_retry)',
    'AuthenticationFailed',
  ],
  ['08P01', 'login rejected', 'AuthenticationFailed'],
  ['08P01', 'bouncer config error', 'AuthenticationFailed'],
  ['08P01', 'SSL required', 'TlsFailed'],
  ['08P01', 'unsupported startup parameter: application_name', 'AuthenticationFailed'],
  ['08P01', 'database does not allow connections: shop', 'DatabaseClosed'],
  ['08P01', 'odyssey: c6f2: route for "shop.app" is not found', 'AuthenticationFailed'],
  ['58000', 'No pool configured for database: "shop", user: "app"', 'AuthenticationFailed'],
  ['58P01', 'could not access file "nowhere": No such file or directory', 'AuthenticationFailed'],
  ['28P01', 'password authentication failed for user "app"', 'AuthenticationFailed'],
  [
    'XX000',
    'This RDS proxy has no credentials for the role app. Check the credentials for this role and try again.',
    'AuthenticationFailed',
  ],
  ['28000', 'The IAM authentication failed for the role app.', 'AuthenticationFailed'],
  ['28000', 'This RDS Proxy requires TLS connections', 'TlsFailed'],
  ['08P01', 'connection requires SSL', 'TlsFailed'],
  ['XX000', 'connection is insecure (try using `sslmode=require`)', 'TlsFailed'],
  [
    'XX000',
    'Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support',
    'AuthenticationFailed',
  ],
  ['XX000', 'The endpoint has been disabled. Enable it using Neon API and retry.', 'AuthenticationFailed'],
  ['XX000', 'Authentication error, reason: "Invalid format for user or db_name"', 'AuthenticationFailed'],
  ['58000', 'Invalid password for user "app"', 'AuthenticationFailed'],
  ['08P01', 'odyssey: c6f2: user blocked: shop app', 'AuthenticationFailed'],
  ['08P01', 'database "shop" is disabled', 'DatabaseClosed'],
  ['28000', 'role "app" is not permitted to log in', 'AuthenticationFailed'],
  ['0A000', 'unsupported frontend protocol 3.0', 'AuthenticationFailed'],
  ['42704', 'unrecognized configuration parameter "x"', 'AuthenticationFailed'],
  ['P0001', 'not at night', 'AuthenticationFailed'],
  ['55000', 'database "shop" is not currently accepting connections', 'DatabaseClosed'],
  ['55000', 'cannot connect to invalid database "shop"', 'DatabaseClosed'],
  ['3D000', 'database "shop" does not exist', 'DatabaseMissing'],
  ['42501', 'permission denied for database "shop"', 'PermissionDenied'],
  ['40001', 'terminating connection due to conflict with recovery', 'RecoveryConflict'],
];

test.each(final)('%s "%s" is %s at once: waiting would not help', async (code, message, reason) => {
  const met = await meet(code, message);
  expect(met).toMatchObject({ reason, waitedMs: 0, told: [], logins: 1 });
  expect(met.message).toContain(message);
  expect(met.message).not.toContain('TOPSECRET');
});

const passing: readonly (readonly [string, string])[] = [
  ['57P03', 'the database system is starting up'],
  ['57P01', 'terminating connection due to administrator command'],
  ['53300', 'sorry, too many clients already'],
  ['53300', 'remaining connection slots are reserved for roles with the SUPERUSER attribute'],
  ['53400', 'no more connections allowed'],
  ['53200', 'out of memory'],
  ['08006', 'connection failure'],
  ['08P01', 'no more connections allowed (max_client_conn)'],
  ['08P01', 'server login has been failing, cached error: connect failed (server_login_retry)'],
  ['08P01', 'pgbouncer cannot connect to server'],
  ['08P01', 'the database system is shutting down'],
  ['08P01', 'odyssey: c6f2: failed to connect to remote server s1'],
  ['XX000', '(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15'],
  ['XX000', '(ECHECKOUTTIMEOUT) unable to check out connection from the pool'],
  ['58000', 'could not get connection from the pool - AllServersDown'],
  ['58000', 'failed to create a backend connection'],
  ['XX000', 'Timed-out waiting to acquire database connection'],
  ['XX000', 'The target database is currently unavailable'],
  ['XX000', "Couldn't connect to compute node"],
  ['XX000', '(EDBHANDLEREXITED) connection to database closed. Check logs for more information'],
  ['08P01', 'server DNS lookup failed'],
  ['08P01', 'odyssey: c6f2: too many tcp connections (global client_max 100)'],
  ['58000', 'odyssey: c6f2: remote server read/write error s1'],
  ['58000', 'all backend nodes are down, pgpool requires at least one valid node'],
  ['58000', 'could not get connection from the pool - TimedOut'],
];

test.each(passing)('%s "%s" is waited for as long as the run may wait', async (code, message) => {
  const met = await meet(code, message, 60_000);
  expect(met).toMatchObject({ reason: 'ServerUnreachable', waitedMs: 60_000 });
  // What the server said is what the run tells meanwhile.
  expect(met.told.every((text) => text.includes(message))).toBe(true);
});

test.each(['server login has been failing, try again later (server_login_retry)', 'query_wait_timeout'])(
  '"%s" leaves open whether the server is down or refuses the pooler: it gets half a minute',
  async (message) => {
    expect(await meet('08P01', message)).toMatchObject({ reason: 'AuthenticationFailed', waitedMs: 30_000 });
    expect(await meet('08P01', message, 8_000)).toMatchObject({ reason: 'AuthenticationFailed', waitedMs: 8_000 });
  },
);

test('a server that takes encrypted connections only says so by a missing line of its rules: tls.mode is named', async () => {
  const words = 'no pg_hba.conf entry for host "10.0.0.7", user "app", database "shop", no encryption';
  expect(await meet('28000', words)).toMatchObject({ reason: 'AuthenticationFailed', waitedMs: 0 });
  expect((await meet('28000', words)).hint).toMatch(/tls\.mode/);
  expect((await meet('28000', words.replace('no encryption', 'SSL off'))).hint).toMatch(/tls\.mode/);
  expect((await meet('28000', words.replace('no encryption', 'SSL encryption'))).hint ?? '').not.toMatch(/tls\.mode/);
  expect((await meet('XX000', 'connection is insecure (try using `sslmode=require`)')).hint).toMatch(/tls\.mode/);
});
