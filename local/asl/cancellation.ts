// Ends work that waits: an execution stopped, a branch whose sibling failed, children of a map run that went over its limit.
// Invariant: everything a state waits for goes through `race` or `sleep`, so ending a parent ends all below it at once, and
// no rejection of what was left behind is unhandled. (AbortSignal warns of a leak at the eleventh listener.)

export class Cancellation {
  #reason: Error | undefined;
  readonly #listeners = new Set<(reason: Error) => void>();
  readonly #detach: () => void;

  constructor(parent?: Cancellation) {
    this.#reason = parent?.reason;
    this.#detach = parent === undefined ? () => {} : parent.#listen((reason) => this.cancel(reason));
  }

  get reason(): Error | undefined {
    return this.#reason;
  }

  /** Only the first reason counts. */
  cancel(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.release();
    for (const listener of [...this.#listeners]) listener(reason);
    this.#listeners.clear();
  }

  /** To be called when the work is over: the parent forgets it. */
  release(): void {
    this.#detach();
  }

  child(): Cancellation {
    return new Cancellation(this);
  }

  #listen(listener: (reason: Error) => void): () => void {
    if (this.#reason === undefined) this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  race<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#reason !== undefined) {
        work.catch(() => {});
        reject(this.#reason);
        return;
      }
      work.then(resolve, reject).finally(this.#listen(reject));
    });
  }

  sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, ms));
    });
    return this.race(slept).finally(() => clearTimeout(timer));
  }
}
