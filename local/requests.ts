// Counts every request the stack's servers answered, by operation and by the function that sent it.
// Tests hold the design's numbers against it (one GET per file, two ledger writes), benches report it.

export interface RequestCount {
  count: number;
  /** Of these, further attempts of the SDK at a request whose answer did not come or did not please. */
  retries: number;
  /** Payload bytes, without headers and framing. */
  bytesIn: number;
  bytesOut: number;
}

/** Keys such as `S3.GetObject`. */
export type RequestCounts = Readonly<Record<string, Readonly<RequestCount>>>;

export class Requests {
  readonly #byCaller = new Map<string, Map<string, RequestCount>>();

  /** `caller`: logical id of the function, or "" for a client outside the stack. */
  record(operation: string, caller: string, bytesIn: number, bytesOut: number, isRetry = false): void {
    const counts = this.#byCaller.get(caller) ?? new Map<string, RequestCount>();
    this.#byCaller.set(caller, counts);
    add(counts, operation, { count: 1, retries: isRetry ? 1 : 0, bytesIn, bytesOut });
  }

  /** All callers together, or one of them. */
  counts(caller?: string): RequestCounts {
    const sum = new Map<string, RequestCount>();
    for (const [name, counts] of this.#byCaller) {
      if (caller !== undefined && caller !== name) continue;
      for (const [operation, count] of counts) add(sum, operation, count);
    }
    return Object.fromEntries([...sum].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  reset(): void {
    this.#byCaller.clear();
  }
}

function add(counts: Map<string, RequestCount>, operation: string, more: RequestCount): void {
  const count = counts.get(operation) ?? { count: 0, retries: 0, bytesIn: 0, bytesOut: 0 };
  count.count += more.count;
  count.retries += more.retries;
  count.bytesIn += more.bytesIn;
  count.bytesOut += more.bytesOut;
  counts.set(operation, count);
}
