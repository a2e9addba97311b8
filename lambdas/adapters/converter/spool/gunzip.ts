// All members of a gzip file. Node stops at the first zero byte between or after them, without a word: zeros may pad the end, but data
// behind them is another member, or rows that somebody appended, and would be lost silently (Node 24).

import { createGunzip, gunzipSync } from "node:zlib";
import { SpoolError } from "./spool-error.ts";
import { through } from "./through.ts";

export async function* gunzip(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const inflater = createGunzip();
  const tail = new Tail(compressed, () => inflater.bytesWritten);
  try {
    yield* through(tail.watched(), inflater);
    const at = await tail.dataAt();
    if (at === undefined) return;
    throw new SpoolError(
      "CORRUPT_COMPRESSION",
      `data follows the end of the gzip data, at byte ${at}; compress the file as a whole`,
      { byte: at },
    );
  } finally {
    tail.close();
  }
}

/** Undefined: something follows the data. */
export function gunzipWhole(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
  const { buffer, engine } = gunzipSync(bytes, { maxOutputLength: bytesMax, info: true }) as unknown as {
    readonly buffer: Uint8Array;
    readonly engine: { readonly bytesWritten: number };
  };
  return engine.bytesWritten === bytes.length ? buffer : undefined;
}

/** Keeps what the decompressor was given and may not have read. */
class Tail {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #bytesRead: () => number;
  #kept: { readonly start: number; readonly chunk: Uint8Array }[] = [];
  #given = 0;

  constructor(body: AsyncIterable<Uint8Array>, bytesRead: () => number) {
    this.#iterator = body[Symbol.asyncIterator]();
    this.#bytesRead = bytesRead;
  }

  /** Who stops reading leaves the body open. */
  async *watched(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = await this.#next();
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  /** Where the first byte after the data lies that is no zero. */
  async dataAt(): Promise<number | undefined> {
    while ((await this.#next()) !== undefined) {
      const at = this.#firstData();
      if (at !== undefined) return at;
    }
    return this.#firstData();
  }

  /** Not waited for: a body that stalls would keep its error back. */
  close(): void {
    this.#iterator.return?.().catch(() => undefined);
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#iterator.next();
    if (done === true) return undefined;
    const read = this.#bytesRead();
    this.#kept = this.#kept.filter(({ start, chunk }) => start + chunk.length > read);
    this.#kept.push({ start: this.#given, chunk: value });
    this.#given += value.length;
    return value;
  }

  #firstData(): number | undefined {
    const read = this.#bytesRead();
    for (const { start, chunk } of this.#kept) {
      const from = Math.max(0, read - start);
      const at = chunk.subarray(from).findIndex((byte) => byte !== 0);
      if (at >= 0) return start + from + at;
    }
    // Nothing but zeros: what is known to be padding is not looked at again.
    this.#kept = [];
    return undefined;
  }
}
