const decoders = {
  /** As forms are: + is a blank. AWS does it so. */
  form: (key: string) => decodeURIComponent(key.replaceAll('+', ' ')),
  /** As paths are: + is itself. */
  percent: (key: string) => decodeURIComponent(key),
  /** Not at all, whatever the answer says. */
  plain: (key: string) => key,
} as const;
type Coding = keyof typeof decoders;

/** So many keys of one page are looked at to find out. */
const mostLooks = 5;

/**
 * How a server writes the keys of a listing that was asked for `encoding-type=url`. What its answer says of that is not always so; the keys
 * themselves tell (what cannot be decoded, or would not begin with the prefix, is not encoded so), and where they do not, looking for the
 * objects that they could mean. Found out once for a storage.
 */
export class KeyCoding {
  #possible: readonly Coding[] = ['form', 'percent', 'plain'];

  /** `encoded`: what the answer says; believed only where nothing can be found out. Undefined when the keys make no sense in any coding. */
  async decode(
    keys: readonly string[],
    prefix: string,
    encoded: boolean,
    exists: (key: string) => Promise<boolean>,
  ): Promise<readonly string[] | undefined> {
    let possible = this.#possible.filter((coding) => keys.every((key) => fits(coding, key, prefix)));
    const doubtful = keys.filter((key) => new Set(possible.map((coding) => decode(coding, key))).size > 1);
    for (const key of doubtful.slice(0, mostLooks)) {
      const found = new Set<string>();
      for (const candidate of new Set(possible.map((coding) => decoders[coding](key))))
        if (await exists(candidate)) found.add(candidate);
      const right = possible.filter((coding) => found.has(decoders[coding](key)));
      if (right.length > 0) possible = right;
    }
    const believed = encoded || !possible.includes('plain') ? possible[0] : 'plain';
    if (believed === undefined) return undefined;
    this.#possible = possible;
    return keys.map(decoders[believed]);
  }
}

function decode(coding: Coding, key: string): string | undefined {
  try {
    return decoders[coding](key);
  } catch {
    return undefined;
  }
}

/** What is encoded has neither blanks nor anything but ASCII. */
function fits(coding: Coding, key: string, prefix: string): boolean {
  if (coding !== 'plain' && !/^[!-~]*$/.test(key)) return false;
  return decode(coding, key)?.startsWith(prefix) === true;
}
