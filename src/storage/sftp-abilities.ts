/** What a server may do beyond plain version 3 of the protocol, and what some lack of that. */
export type SftpAbility = 'rename' | 'hardlink' | 'fsync' | 'folder-sync' | 'statvfs' | 'lstat' | 'fstat';

/**
 * What is offered, less what was refused when it was tried: servers in front of object stores and other file systems offer what they
 * cannot do. What was refused is not asked for again, by later connections neither.
 */
export class SftpAbilities {
  readonly #offered: ReadonlySet<SftpAbility>;
  readonly #refused: Set<SftpAbility>;
  readonly #proven = new Set<SftpAbility>();

  /** `refused` is shared by the connections of one storage. */
  constructor(offered: Iterable<SftpAbility>, refused: Set<SftpAbility>) {
    this.#offered = new Set(offered);
    this.#refused = refused;
  }

  has(ability: SftpAbility): boolean {
    return this.#offered.has(ability) && !this.#refused.has(ability);
  }

  refuse(ability: SftpAbility): void {
    this.#refused.add(ability);
  }

  /** It worked once on this connection: a later failure of it is a real one. */
  prove(ability: SftpAbility): void {
    this.#proven.add(ability);
  }

  isProven(ability: SftpAbility): boolean {
    return this.#proven.has(ability);
  }
}

/** Of the extensions that the server names, with their versions. */
export function offeredBy(extensions: Readonly<Record<string, string>>): readonly SftpAbility[] {
  const offers = (name: string, version = '1'): boolean => extensions[`${name}@openssh.com`] === version;
  return [
    'lstat',
    'fstat',
    ...(offers('posix-rename') ? (['rename'] as const) : []),
    ...(offers('hardlink') ? (['hardlink'] as const) : []),
    ...(offers('fsync') ? (['fsync', 'folder-sync'] as const) : []),
    ...(offers('statvfs', '2') ? (['statvfs'] as const) : []),
  ];
}
