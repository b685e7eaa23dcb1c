import { join } from 'node:path';
import { Failure } from '../api/failure.ts';
import { runnerFiles, type SecretKeys } from '../domain/task.ts';
import { listUriSecrets } from '../postgres/uri-secrets.ts';
import type { Clock } from '../support/clock.ts';
import type { Redactor } from '../support/redaction.ts';
import { readSecretText } from './secret-text.ts';

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
   * A value that is empty counts as absent where another way does, and where it is optional.
   * @throws Failure SecretMissing naming Secret and key, SecretInvalid for a value that is empty or no text
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
const publicRoles: ReadonlySet<string> = new Set(['username', 'ca', 'certificate', 'publicKey']);

/** Secrets as files below the runner's root; each value is registered for redaction before anybody sees it. */
export function openSecrets(options: SecretsOptions): Secrets {
  const { root, waitSeconds, clock, redactor, onWaiting } = options;
  const deadlineMs = clock.monotonicMs() + waitSeconds * 1000;

  const pause = (signal: AbortSignal): Promise<boolean> =>
    clock.sleep(pollMilliseconds, signal).then(
      () => true,
      () => false,
    );

  return {
    async read(reference, wanted, signal) {
      const roles = [...new Set([...wanted.oneOf.flat(), ...(wanted.optional ?? [])])];
      for (;;) {
        signal.throwIfAborted();
        const values: Partial<Record<string, string>> = {};
        const empty: string[] = [];
        for (const role of roles) {
          const value = await readRole(root, reference, role);
          // Templates write optional keys with nothing in them: they count as absent.
          if (value === undefined || value === '') {
            if (value === '') empty.push(reference.keys[role] ?? role);
            continue;
          }
          register(redactor, role, value);
          values[role] = value;
        }
        if (wanted.oneOf.some((way) => way.every((role) => values[role] !== undefined))) return values;
        if (empty.length > 0) throw emptyKeys(reference, empty);
        const missing = describeMissing(reference, wanted.oneOf, values);
        const outOfTime = clock.monotonicMs() >= deadlineMs;
        if (!outOfTime) onWaiting(missing);
        // Who is stopped while it waits is told what is missing, too.
        if (outOfTime || !(await pause(signal))) {
          throw new Failure('SecretMissing', missing, {
            hint: 'create the Secret with this key in the same namespace',
          });
        }
      }
    },
  };
}

async function readRole(root: string, reference: SecretKeys, role: string): Promise<string | undefined> {
  const key = reference.keys[role];
  if (key === undefined) return undefined;
  const path = join(root, runnerFiles.secret(reference.secretName, key));
  return await readSecretText(path, `key ${key} of Secret ${reference.secretName}`, publicRoles.has(role));
}

function register(redactor: Redactor, role: string, value: string): void {
  if (publicRoles.has(role)) return;
  for (const secret of role === 'uri' ? listUriSecrets(value) : [value]) redactor.add(secret);
}

function emptyKeys({ secretName }: SecretKeys, keys: readonly string[]): Failure {
  const which =
    keys.length === 1
      ? `key ${keys[0]} of Secret ${secretName} is`
      : `keys ${keys.join(', ')} of Secret ${secretName} are`;
  return new Failure('SecretInvalid', `${which} empty`);
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
