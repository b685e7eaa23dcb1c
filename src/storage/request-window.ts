/** Lets so many requests be on their way at once. */
export class RequestWindow {
  readonly #limit: number;
  readonly #onFailure: (error: unknown) => void;
  #out = 0;
  #wake: (() => void) | undefined;

  constructor(limit: number, onFailure: (error: unknown) => void) {
    this.#limit = limit;
    this.#onFailure = onFailure;
  }

  async enter(): Promise<void> {
    while (this.#out >= this.#limit) await this.#change();
  }

  async empty(): Promise<void> {
    while (this.#out > 0) await this.#change();
  }

  watch(request: Promise<void>): void {
    this.#out += 1;
    request.catch(this.#onFailure).finally(() => {
      this.#out -= 1;
      this.#wake?.();
    });
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
