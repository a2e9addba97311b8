// The keys of one bucket in UTF-8 byte order, the order S3 lists in, with cheap inserts at a million keys.
// Invariant: `chunks` are non-empty, sorted inside and between each other. A flat array would move half a million
// entries per insert; chunks of at most 1,024 move a few hundred.

import { compareUtf8 } from "../../lambdas/core/discovery/key-order.ts";

const CHUNK_KEYS_MAX = 1024;

export class SortedKeys {
  readonly #chunks: string[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(key: string): void {
    const at = Math.max(
      0,
      this.#chunkBefore((first) => compareUtf8(first, key) <= 0),
    );
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([key]);
      this.#size++;
      return;
    }
    const place = partition(chunk, (other) => compareUtf8(other, key) < 0);
    if (chunk[place] === key) return;
    chunk.splice(place, 0, key);
    this.#size++;
    if (chunk.length > CHUNK_KEYS_MAX) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_KEYS_MAX / 2));
  }

  remove(key: string): void {
    const at = this.#chunkBefore((first) => compareUtf8(first, key) <= 0);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const place = partition(chunk, (other) => compareUtf8(other, key) < 0);
    if (chunk[place] !== key) return;
    chunk.splice(place, 1);
    this.#size--;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** All keys for which `before` no longer holds. `before` must hold for a leading run of the keys and none after. */
  *from(before: (key: string) => boolean): Generator<string> {
    let at = Math.max(0, this.#chunkBefore(before));
    let place = partition(this.#chunks[at] ?? [], before);
    for (; at < this.#chunks.length; at++, place = 0) {
      const chunk = this.#chunks[at] ?? [];
      for (; place < chunk.length; place++) yield chunk[place] as string;
    }
  }

  /** Index of the last chunk whose first key still satisfies the predicate; -1 when none does. */
  #chunkBefore(holds: (first: string) => boolean): number {
    return partition(this.#chunks, (chunk) => holds(chunk[0] as string)) - 1;
  }
}

/** Index of the first element for which `holds` is false. */
function partition<T>(sorted: readonly T[], holds: (element: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(sorted[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}
