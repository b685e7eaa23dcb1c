/** Where things lie in a pod says nothing to people: volumes, Secrets and work are named instead. */
export function namePaths(text: string, root: string): string {
  const below = root.replace(/\/+$/, '');
  // Before a longer name that only begins alike there is something else.
  const named = text.replaceAll(`${below}/secrets/`, 'Secret ').replaceAll(`${below}/work`, '(work)');
  return named.split(`${below}/volumes/`).map(cutVolume).join('');
}

/** Of `volume-1/backups/x` what lies in the volume. */
function cutVolume(rest: string, index: number): string {
  return index === 0 ? rest : rest.replace(/^[a-z0-9-]+/, '(volume)');
}
