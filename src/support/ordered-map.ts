interface Entry<T> {
  readonly key: string;
  readonly value: T;
}

const partMax = 512;

/** A map in the order of its keys (as `<` compares them) that changes one by one at little cost: in parts of a few hundred entries. */
export class OrderedMap<T> {
  readonly #parts: Entry<T>[][] = [];

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  get(key: string): T | undefined {
    const part = this.#parts[this.#partOf(key)] ?? [];
    const entry = part[findFirst(part, (one) => one.key >= key)];
    return entry?.key === key ? entry.value : undefined;
  }

  set(key: string, value: T): void {
    const at = this.#partOf(key);
    const part = this.#parts[at];
    if (part === undefined) {
      this.#parts.push([{ key, value }]);
      return;
    }
    const index = findFirst(part, (one) => one.key >= key);
    part.splice(index, part[index]?.key === key ? 1 : 0, { key, value });
    if (part.length > partMax) this.#parts.splice(at + 1, 0, part.splice(partMax / 2));
  }

  delete(key: string): void {
    const at = this.#partOf(key);
    const part = this.#parts[at] ?? [];
    const index = findFirst(part, (one) => one.key >= key);
    if (part[index]?.key !== key) return;
    part.splice(index, 1);
    if (part.length === 0) this.#parts.splice(at, 1);
  }

  /** All that come after a key, in order. It is not to be changed meanwhile. */
  *after(key: string): Generator<readonly [key: string, value: T]> {
    const at = this.#partOf(key);
    for (const [number, part] of this.#parts.slice(at).entries()) {
      const from = number === 0 ? findFirst(part, (one) => one.key > key) : 0;
      for (let index = from; index < part.length; index += 1) {
        const entry = part[index];
        if (entry !== undefined) yield [entry.key, entry.value];
      }
    }
  }

  /** Where a key is, or would be: the last part that does not begin after it. */
  #partOf(key: string): number {
    return Math.max(0, findFirst(this.#parts, ([first]) => first !== undefined && first.key > key) - 1);
  }
}

/** The first of which it is so, of a list in which all those behind it are so, too; else the length. */
function findFirst<T>(list: readonly T[], isSo: (one: T) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = list[middle];
    if (one !== undefined && isSo(one)) high = middle;
    else low = middle + 1;
  }
  return low;
}
