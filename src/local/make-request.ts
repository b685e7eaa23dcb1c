import { Failure } from '../api/failure.ts';
import { apiVersion, restoreRequestKind } from '../api/kinds.ts';
import { validateObject } from '../api/validate.ts';
import { compactTime } from '../domain/names.ts';
import { parseUri } from '../postgres/server-uri.ts';
import { findObject, findOnlyNamespace, namesOf } from './find-object.ts';
import type { LoadedObject } from './loaded-object.ts';
import type { RestoreFlags } from './restore-flags.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface MadeRequest {
  readonly request: LoadedObject;
  /** A Secret of the flags' own, when the uri came from the environment. */
  readonly secret?: LoadedObject;
}

const origin = 'the command line';
const help = 'pgbackup local restore --help shows examples';

/**
 * The RestoreRequest that the flags describe, on the objects of the files; validated, with its defaults.
 * @throws Failure SpecInvalid, LocationMissing, PolicyMissing, SecretMissing, SecretInvalid
 */
export function makeRequest(
  flags: RestoreFlags,
  objects: readonly LoadedObject[],
  env: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): MadeRequest {
  const namespace = flags.namespace ?? findOnlyNamespace(objects);
  const { server, secret } = makeServer(flags, objects, namespace, env);
  const { database, target } = makeDatabases(flags.databases);
  const spec = {
    source: { ...makeSource(flags, objects, namespace), ...database },
    target: { postgres: server, ...target },
    ...(flags.mode === undefined ? {} : { mode: flags.mode }),
    ...(flags.keepPrevious ? { keepPrevious: true } : {}),
    options: {
      ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
      ...(flags.globals ? { globals: true } : {}),
      ...(flags.privilegedGlobals ? { privilegedGlobals: true } : {}),
      ...(flags.without.length === 0 ? {} : { without: flags.without }),
      ...(flags.onError === undefined ? {} : { onError: flags.onError }),
      ...(flags.owner ? {} : { noOwner: true }),
      ...(flags.privileges ? {} : { noPrivileges: true }),
    },
  };
  const metadata = { name: `restore-${compactTime(nowMs)}`, namespace };
  const request = checkRequest({ apiVersion, kind: 'RestoreRequest', metadata, spec });
  return { request, ...(secret === undefined ? {} : { secret }) };
}

/** The RestoreRequest that a RestorePolicy of the files makes. @throws Failure PolicyMissing */
export function makeScheduledRequest(
  name: string,
  namespace: string | undefined,
  objects: readonly LoadedObject[],
  nowMs: number,
): LoadedObject {
  const { object } = findObject(objects, 'RestorePolicy', name, namespace, 'PolicyMissing');
  const { template } = object.spec as { readonly template: { readonly spec: Fields } };
  const metadata = { name: `${object.metadata.name}-${compactTime(nowMs)}`, namespace: object.metadata.namespace };
  return checkRequest({ apiVersion, kind: 'RestoreRequest', metadata, spec: template.spec });
}

function checkRequest(object: LoadedObject['object'] & { readonly spec: unknown }): LoadedObject {
  const judged = validateObject(restoreRequestKind, object, undefined);
  if ('errors' in judged) throw new Failure('SpecInvalid', judged.errors.join('\n'), { hint: help });
  return { object: judged.object, origin };
}

function makeSource(flags: RestoreFlags, objects: readonly LoadedObject[], namespace: string): Fields {
  const { backup, policy, file, pattern, member, foreign, latest, at, location } = flags;
  const ways = { '--backup': backup, '--policy': policy, '--file': file, '--pattern': pattern };
  const given = Object.entries(ways).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (given.length !== 1) {
    const found = given.length === 0 ? 'none is given' : `${given.join(' and ')} are given`;
    throw new Failure(
      'SpecInvalid',
      `one of --backup, --policy, --file and --pattern says what is restored: ${found}`,
      {
        hint: help,
      },
    );
  }
  if (policy === undefined && (latest || at !== undefined)) {
    throw new Failure('SpecInvalid', '--latest and --at go with --policy', { hint: help });
  }
  if (member !== undefined && file === undefined && pattern === undefined) {
    throw new Failure('SpecInvalid', '--member goes with --file or --pattern', { hint: help });
  }
  if (foreign && file === undefined && pattern === undefined) {
    throw new Failure('SpecInvalid', '--foreign goes with --file or --pattern', { hint: help });
  }
  if (location !== undefined) findObject(objects, 'BackupLocation', location, namespace, 'LocationMissing');
  const copy = location === undefined ? {} : { location };
  if (backup !== undefined) return { backup: { name: backup, ...copy } };
  if (policy !== undefined) {
    if (latest === (at !== undefined)) {
      throw new Failure('SpecInvalid', '--policy needs one of --latest and --at', { hint: help });
    }
    return { policy: { name: policy, ...(at === undefined ? { latest: true } : { at }), ...copy } };
  }
  return {
    file: {
      location: location ?? findOnlyLocation(objects, namespace),
      ...(file === undefined ? { pattern } : { key: file }),
      ...(member === undefined ? {} : { member }),
      ...(foreign ? { foreign } : {}),
    },
  };
}

function findOnlyLocation(objects: readonly LoadedObject[], namespace: string): string {
  const names = namesOf(objects, 'BackupLocation', namespace);
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw new Failure('LocationMissing', `--location says where the file lies: there are ${names.length} locations`, {
    hint: names.length === 0 ? 'give a file with a BackupLocation too' : `choose one of ${names.join(', ')}`,
  });
}

function makeServer(
  flags: RestoreFlags,
  objects: readonly LoadedObject[],
  namespace: string,
  env: Readonly<Record<string, string | undefined>>,
): { readonly server: Fields; readonly secret?: LoadedObject } {
  const { target, targetEnv, targetOf } = flags;
  if ([target, targetEnv, targetOf].filter((way) => way !== undefined).length !== 1) {
    throw new Failure('SpecInvalid', 'one of --target, --target-env and --target-of says which server is restored to', {
      hint: help,
    });
  }
  if (targetOf !== undefined) {
    const { object } = findObject(objects, 'BackupPolicy', targetOf, namespace, 'PolicyMissing');
    const { postgres } = (object.spec as { readonly source: { readonly postgres: Fields } }).source;
    const { databases: _, ...server } = postgres;
    return { server };
  }
  if (target !== undefined) {
    const { object } = findObject(objects, 'Secret', target, namespace, 'SecretMissing');
    if ((object['data'] as Fields | undefined)?.['uri'] === undefined) {
      throw new Failure('SecretInvalid', `Secret ${target} has no key uri, which says where the server is`, {
        hint: 'add uri: postgresql://user:password@host:port/postgres, or use --target-of or a RestoreRequest with a host',
      });
    }
    return { server: { credentials: { secretName: target } } };
  }
  return makeServerOfUri(targetEnv ?? '', objects, namespace, env);
}

/** The uri stays out of objects that are shown: it becomes a Secret. */
function makeServerOfUri(
  variable: string,
  objects: readonly LoadedObject[],
  namespace: string,
  env: Readonly<Record<string, string | undefined>>,
): { readonly server: Fields; readonly secret: LoadedObject } {
  const uri = env[variable] ?? '';
  if (uri === '') {
    throw new Failure('SecretMissing', `the variable ${variable} is not set, or empty`, {
      hint: `set it to postgresql://user:password@host:port/postgres and export it`,
    });
  }
  parseUri(uri);
  const taken = new Set(namesOf(objects, 'Secret', namespace));
  let name = 'restore-target';
  for (let number = 2; taken.has(name); number += 1) name = `restore-target-${number}`;
  const data = { uri: Buffer.from(uri).toString('base64') };
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type: 'Opaque', data };
  return { server: { credentials: { secretName: name } }, secret: { object, origin } };
}

/** One name, one pair, or several of either. */
function makeDatabases(given: readonly string[]): { readonly database: Fields; readonly target: Fields } {
  const pairs = given.map((text) => {
    const [source = '', target = source, ...rest] = text.split('=');
    if (source === '' || target === '' || rest.length > 0) {
      throw new Failure('SpecInvalid', `--database ${text}: a name, or the one in the backup=the one on the server`, {
        hint: 'names with = in them are told by a RestoreRequest in a file',
      });
    }
    return { source, target, isPair: text.includes('=') };
  });
  const [first, ...others] = pairs;
  if (first === undefined) {
    throw new Failure('SpecInvalid', '--database says which database is restored to', { hint: help });
  }
  if (others.length > 0) {
    return { database: {}, target: { databases: pairs.map(({ source, target }) => ({ source, target })) } };
  }
  return { database: first.isPair ? { database: first.source } : {}, target: { database: first.target } };
}
