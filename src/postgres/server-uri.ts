import { Failure } from '../api/failure.ts';
import type { TlsMode } from './server.ts';

export interface ServerUri {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database?: string;
  /** What `sslmode` says. allow and prefer promise nothing and count as not said. */
  readonly tlsMode?: TlsMode;
}

const longestUri = 8192;
const hostGrammar = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^:[\]]*))(?::(\d*))?$/;
const encodingHint =
  'characters such as @ : / # ? and blanks in a user name, password or database are written as %40 %3A %2F %23 %3F %20';
const tlsModes: Readonly<Record<string, TlsMode | undefined>> = {
  disable: 'disable',
  require: 'require',
  'verify-ca': 'verify-ca',
  'verify-full': 'verify-full',
};

/**
 * Reads a URI as libpq does, and as CloudNativePG and others put it into Secrets:
 * `postgresql://user:password@host:port/database?sslmode=…`, with percent-encoding, IPv6 addresses in brackets, and unix sockets
 * as `?host=/folder`. Parameters of no use here (files, options, timeouts) are passed over. Throws `SecretInvalid`; no message
 * repeats a part of the URI that may be secret.
 */
export function parseUri(uri: string): ServerUri {
  const { userInfo, authority, path, query } = split(uri.trim());
  const parameters = parseQuery(query);
  const place = parsePlace(authority);

  const colon = userInfo.indexOf(':');
  const user = parameters.get('user') ?? decode(colon < 0 ? userInfo : userInfo.slice(0, colon));
  const password = parameters.get('password') ?? (colon < 0 ? '' : decode(userInfo.slice(colon + 1)));
  const host = parameters.get('host') ?? place.host;
  if (!host.startsWith('/') && /[\s@?#\\]/.test(host)) throw invalid('its host cannot be one', encodingHint);
  const port = parsePort(parameters.get('port') ?? place.port);
  const database = parameters.get('dbname') ?? decode(path);
  if (host === '') throw invalid('it names no host');
  if (host.includes(',')) throw invalid('it names several hosts', 'give the address that always leads to the primary');
  if (user === '') throw invalid('it names no user');
  const tlsMode = parseTlsMode(parameters.get('sslmode'));
  return {
    host,
    port,
    user,
    ...(password === '' ? {} : { password }),
    ...(database === '' ? {} : { database }),
    ...(tlsMode === undefined ? {} : { tlsMode }),
  };
}

interface UriParts {
  readonly userInfo: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
}

/**
 * Stricter than libpq: where a delimiter stands raw in what may be the password, the rest of it would be taken for the host, and
 * printed. Such a URI is refused.
 */
function split(uri: string): UriParts {
  if (uri.length > longestUri) throw invalid(`it has ${uri.length} characters, more than ${longestUri}`);
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\0-\x1f\x7f]/.test(uri)) throw invalid('it holds a line break or another control character');
  if (/^jdbc:/i.test(uri)) {
    throw invalid('it is a JDBC URL', 'write it as postgresql://user:password@host:port/database');
  }
  const scheme = /^postgres(?:ql)?:\/\//.exec(uri)?.[0];
  if (scheme === undefined) {
    if (/^\s*\w+\s*=/.test(uri)) {
      throw invalid(
        'it is a connection string of keywords and values',
        'write it as postgresql://user:password@host:port/database',
      );
    }
    if (/^["']/.test(uri)) throw invalid('it stands in quotes', 'put it into the Secret without them');
    throw invalid('it does not look like postgresql://user:password@host:port/database');
  }
  const rest = uri.slice(scheme.length);
  const [head, query] = cut(rest, '?');
  const at = head.indexOf('@');
  const [before, path] = cut(head, '/');
  const isAmbiguous =
    head.lastIndexOf('@') !== at ||
    at > before.length ||
    (query.includes('@') && (at >= 0 || !/(^|&)user=/.test(query)));
  if (isAmbiguous) throw invalid('an @ or / in it is not percent-encoded', encodingHint);
  if (/[\s#]/.test(head)) throw invalid('a blank or # in it is not percent-encoded', encodingHint);
  return { userInfo: before.slice(0, Math.max(0, at)), authority: before.slice(at + 1), path, query };
}

/** At the first delimiter. */
function cut(text: string, delimiter: string): readonly [string, string] {
  const at = text.indexOf(delimiter);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function parsePlace(authority: string): { readonly host: string; readonly port: string } {
  if (authority.includes(',')) {
    throw invalid('it names several hosts', 'give the address that always leads to the primary');
  }
  const place = hostGrammar.exec(authority);
  if (place === null) {
    throw invalid('its host or port cannot be read', encodingHint);
  }
  return { host: place[1] ?? decode(place[2] ?? ''), port: place[3] ?? '' };
}

function parsePort(text: string): number {
  if (text === '') return 5432;
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw invalid('its port is no number from 1 to 65535');
  return port;
}

function parseQuery(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    if (equals > 0) parameters.set(decode(pair.slice(0, equals)), decode(pair.slice(equals + 1)));
  }
  return parameters;
}

function parseTlsMode(sslmode: string | undefined): TlsMode | undefined {
  if (sslmode === undefined || sslmode === 'allow' || sslmode === 'prefer') return undefined;
  const mode = tlsModes[sslmode];
  if (mode === undefined) throw invalid('its sslmode is none of disable, require, verify-ca, verify-full');
  return mode;
}

function decode(text: string): string {
  let decoded: string;
  try {
    // `+` is itself, not a blank: this is no form.
    decoded = decodeURIComponent(text);
  } catch (error) {
    throw invalid('it holds a % that is no percent-encoding', 'a % in a password is written as %25', error);
  }
  if (decoded.includes('\0')) throw invalid('it holds a zero byte');
  return decoded;
}

function invalid(what: string, hint?: string, cause?: unknown): Failure {
  return new Failure('SecretInvalid', `the uri of the server cannot be used: ${what}`, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}
