import type { SecretKeys } from '../../domain/task.ts';

/** All roles are handed over, optional ones too: the runner knows which of them it needs. */
export function secretKeys(reference: {
  readonly secretName: string;
  readonly keys: Readonly<Record<string, string>>;
}): SecretKeys {
  return { secretName: reference.secretName, keys: { ...reference.keys } };
}
