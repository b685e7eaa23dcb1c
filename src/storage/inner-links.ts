import { Failure } from '../api/failure.ts';

// Symbolic links below the root of a location: what is read may lie behind one that stays inside.

const mostBehindLinks = 100_000;
/** Reasons why one entry is not shown to who can do without it. */
export const mayBeLeftOut: ReadonlySet<string> = new Set(['StorageDenied', 'StorageConfigInvalid']);

/** Counts what a listing finds behind links to folders: links may show one folder many times. */
export class LinkedEntries {
  #count = 0;

  /** @throws Failure StorageConfigInvalid when they are too many */
  add(): void {
    this.#count += 1;
    if (this.#count <= mostBehindLinks) return;
    throw new Failure(
      'StorageConfigInvalid',
      `more than ${mostBehindLinks} entries lie behind symbolic links to folders`,
      {
        hint: 'give a key, or a pattern whose beginning names the folder, or remove the links',
      },
    );
  }
}

export function leadsOut(key: string, root: string): Failure {
  return new Failure(
    'StorageDenied',
    `${key} is a symbolic link, or behind one, that leads out of ${root}: it is not followed`,
    {
      hint: 'let the location begin at a folder that holds both, or copy the file into it',
    },
  );
}

export function behindAnother(key: string): Failure {
  return new Failure(
    'StorageConfigInvalid',
    `${key} is a symbolic link to a folder, behind another one: it is not followed`,
  );
}

export function notThroughLinks(key: string): Failure {
  return new Failure(
    'StorageDenied',
    `${key} is a symbolic link, or behind one: nothing is written or deleted through it`,
    {
      hint: 'let the location begin at the folder that the link points at, or mount that folder in place of the link',
    },
  );
}
