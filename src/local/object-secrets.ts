import { Failure } from '../api/failure.ts';
import type { Secrets, SecretValues } from '../runner/secrets.ts';
import type { Redactor } from '../support/redaction.ts';
import type { LoadedObject } from './loaded-object.ts';

/** Secrets of loaded objects in one namespace, for what is opened by this process itself. Nothing is waited for: what is missing stays so. */
export function openObjectSecrets(objects: readonly LoadedObject[], namespace: string, redactor: Redactor): Secrets {
  return {
    read: async ({ secretName, keys }, wanted) => {
      const secret = objects.find(
        ({ object: { kind, metadata } }) =>
          kind === 'Secret' && metadata.name === secretName && metadata.namespace === namespace,
      );
      const stored = (secret?.object['data'] ?? {}) as Readonly<Record<string, string | undefined>>;
      const values: SecretValues = Object.fromEntries(
        Object.entries(keys).flatMap(([role, key]) => {
          const value = stored[key];
          return value === undefined
            ? []
            : [
                [
                  role,
                  Buffer.from(value, 'base64')
                    .toString()
                    .replace(/\r?\n$/, ''),
                ],
              ];
        }),
      );
      for (const [role, value] of Object.entries(values)) {
        if (value !== undefined && role !== 'username' && role !== 'ca') redactor.add(value);
      }
      if (wanted.oneOf.some((way) => way.every((role) => (values[role] ?? '') !== ''))) return values;
      const ways = wanted.oneOf.map((way) => way.map((role) => keys[role] ?? role).join(' and ')).join(', or ');
      const problem = secret === undefined ? `is not in the files (namespace ${namespace})` : `has no ${ways}`;
      throw new Failure('SecretMissing', `Secret ${secretName} ${problem}`, {
        hint: 'give a file with this Secret and key',
      });
    },
  };
}
