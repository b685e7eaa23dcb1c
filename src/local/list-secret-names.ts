/** Names of all Secrets that a spec refers to. */
export function listSecretNames(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'secretName' in value && typeof value.secretName === 'string' ? [value.secretName] : [];
  return [...own, ...Object.values(value).flatMap(listSecretNames)];
}
