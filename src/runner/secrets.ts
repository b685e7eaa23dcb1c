import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { runnerFiles, type SecretKeys } from '../domain/task.ts';
import type { Clock } from '../support/clock.ts';
import type { Redactor } from '../support/redaction.ts';

/** Which roles of a Secret are wanted. */
export interface WantedRoles {
  /** Ways that do, best first: all roles of one of them must be there. */
  readonly oneOf: readonly (readonly string[])[];
  /** Taken when they are there, never waited for. */
  readonly optional?: readonly string[];
}

/** Values by role. Every role of the way that was found is in it. */
export type SecretValues = Readonly<Partial<Record<string, string>>>;

export interface Secrets {
  /**
   * Waits, within the task's bound for all Secrets together, until one of the ways is there, and returns every wanted role that is.
   * @throws Failure SecretMissing naming Secret and key, SecretInvalid for an empty value
   */
  read(reference: SecretKeys, wanted: WantedRoles, signal: AbortSignal): Promise<SecretValues>;
}

export interface SecretsOptions {
  readonly root: string;
  readonly waitSeconds: number;
  readonly clock: Clock;
  readonly redactor: Redactor;
  /** Told at each look that found a key missing. */
  readonly onWaiting: (detail: string) => void;
}

const pollMilliseconds = 500;

/** Names and public certificates are no secrets, and to blank out the word `postgres` everywhere would make every message useless. */
const publicRoles: ReadonlySet<string> = new Set(['username', 'ca', 'certificate']);

/** Secrets as files below the runner's root; each value is registered for redaction before anybody sees it. */
export function openSecrets(options: SecretsOptions): Secrets {
  const { root, waitSeconds, clock, redactor, onWaiting } = options;
  const deadlineMs = clock.monotonicMs() + waitSeconds * 1000;

  return {
    async read(reference, wanted, signal) {
      const roles = [...new Set([...wanted.oneOf.flat(), ...(wanted.optional ?? [])])];
      for (;;) {
        signal.throwIfAborted();
        const values: Partial<Record<string, string>> = {};
        for (const role of roles) {
          const value = await readRole(root, reference, role);
          if (value !== undefined) values[role] = value;
        }
        if (wanted.oneOf.some((way) => way.every((role) => values[role] !== undefined))) {
          for (const [role, value] of Object.entries(values)) register(redactor, role, value);
          return values;
        }
        const missing = describeMissing(reference, wanted.oneOf, values);
        if (clock.monotonicMs() >= deadlineMs) {
          throw new Failure('SecretMissing', missing, {
            hint: 'create the Secret with this key in the same namespace',
          });
        }
        onWaiting(missing);
        await clock.sleep(pollMilliseconds, signal);
      }
    },
  };
}

async function readRole(root: string, reference: SecretKeys, role: string): Promise<string | undefined> {
  const key = reference.keys[role];
  if (key === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(join(root, runnerFiles.secret(reference.secretName, key)), 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new Failure('SecretInvalid', `key ${key} of Secret ${reference.secretName} cannot be read`, { cause: error });
  }
  // `kubectl create secret --from-file` and editors leave a newline that nobody meant.
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new Failure('SecretInvalid', `key ${key} of Secret ${reference.secretName} is empty`);
  return value;
}

function register(redactor: Redactor, role: string, value: string | undefined): void {
  if (value === undefined || publicRoles.has(role)) return;
  redactor.add(value);
  if (role !== 'uri') return;
  // A uri's password also travels on its own (passfile, messages of libpq), encoded or not.
  const passwords = [
    /^[a-z]+:\/\/[^@/?#]*?:([^@/?#]*)@/i.exec(value)?.[1],
    ...[...value.matchAll(/[?&](?:ssl)?password=([^&#]*)/gi)].map((match) => match[1]),
  ];
  for (const password of passwords) {
    if (password === undefined || password === '') continue;
    redactor.add(password);
    try {
      redactor.add(decodeURIComponent(password));
    } catch {
      // Not valid percent-encoding: the raw form, which is registered, is all there is.
    }
  }
}

function describeMissing(reference: SecretKeys, ways: readonly (readonly string[])[], values: SecretValues): string {
  const lacks = ways.map((way) =>
    way
      .filter((role) => values[role] === undefined)
      .map((role) => reference.keys[role] ?? role)
      .join(' and '),
  );
  return `Secret ${reference.secretName} has no key ${[...new Set(lacks)].join(', or ')}`;
}
