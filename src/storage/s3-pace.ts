/**
 * How many parts may be on their way at once, over all uploads of a storage: half as many after each time that the place had too much
 * to do, and one more again after a while without.
 */
export class Pace {
  readonly #most: number;
  #limit: number;
  #good = 0;

  constructor(most: number) {
    this.#most = most;
    this.#limit = most;
  }

  get limit(): number {
    return this.#limit;
  }

  throttled(): void {
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    this.#good = 0;
  }

  /** A part was taken. */
  went(): void {
    this.#good += 1;
    if (this.#good < 16 || this.#limit >= this.#most) return;
    this.#limit += 1;
    this.#good = 0;
  }
}
