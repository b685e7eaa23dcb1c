/** Parameters of libpq, JDBC and common pools whose values say nothing secret; to blank out `public` or `require` everywhere would spoil messages. */
const publicParameters: ReadonlySet<string> = new Set([
  'application_name',
  'channel_binding',
  'client_encoding',
  'connect_timeout',
  'connection_limit',
  'currentschema',
  'dbname',
  'fallback_application_name',
  'gssencmode',
  'host',
  'hostaddr',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'load_balance_hosts',
  'pgbouncer',
  'pool_timeout',
  'port',
  'schema',
  'search_path',
  'ssl',
  'sslcert',
  'sslcompression',
  'sslcrl',
  'sslkey',
  'sslmode',
  'sslnegotiation',
  'sslrootcert',
  'sslsni',
  'target_session_attrs',
  'tcp_user_timeout',
  'user',
]);

/** What stands between the pieces of a URI or a connection string. */
const delimiters = /[\s@/?#&=;,'"]+/;

/**
 * Every text of a URI that may be secret, however wrongly it is written: found without reading it, so that nothing of it can leave before
 * it is redacted. Of a URI that is read as its writer meant it these are the password and the parameters that are not known to be
 * public; where `@ / ? #` stand raw in it, all of what may belong to the password, piece by piece.
 */
export function listUriSecrets(uri: string): readonly string[] {
  const found = new Set<string>([uri]);
  const add = (text: string): void => {
    found.add(text);
    found.add(decodeLeniently(text));
  };
  const scheme = uri.indexOf('://');
  if (scheme < 0) addPieces(uri, add);
  else addPassword(uri.slice(scheme + 3), add);
  addParameters(uri, add);
  found.delete('');
  return [...found];
}

function addPassword(rest: string, add: (text: string) => void): void {
  const end = rest.lastIndexOf('@');
  if (end < 0) return;
  const first = rest.indexOf('@');
  const colon = rest.indexOf(':');
  // `user:password@`, and everything up to the last @ that may have been meant.
  for (const stop of new Set([first, end])) if (colon >= 0 && colon < stop) add(rest.slice(colon + 1, stop));
  const meant = rest.slice(colon >= 0 && colon < first ? colon + 1 : first + 1, end);
  if (delimiters.test(meant)) addPieces(meant, add);
  if (first === end) return;
  // Several hosts, each with its own user and password, as some drivers write them.
  for (const host of rest.split(',')) {
    const [userInfo = ''] = host.split('@');
    const own = userInfo.indexOf(':');
    if (own >= 0 && host.includes('@')) add(userInfo.slice(own + 1));
  }
}

function addPieces(text: string, add: (text: string) => void): void {
  for (const piece of text.split(delimiters)) if (!publicParameters.has(piece.toLowerCase())) add(piece);
}

/** `?name=value`, `&name=value`, and `name = 'value'` of a connection string. */
function addParameters(uri: string, add: (text: string) => void): void {
  for (const [, name = '', quoted, plain] of uri.matchAll(
    /([A-Za-z_][\w.-]*)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^&;\s]*))/g,
  )) {
    if (publicParameters.has(name.toLowerCase())) continue;
    add(quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '');
    if (quoted !== undefined) add(quoted);
  }
}

function decodeLeniently(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not valid percent-encoding: the raw form is all there is.
    return text;
  }
}
