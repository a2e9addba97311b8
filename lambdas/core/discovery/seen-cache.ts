// Unpacked segments, as many as fit a number of bytes, those used last. Lanes that list neighbouring ranges ask for one segment at
// once: it is fetched once.

import type { ObjectUri } from "../ids.ts";
import type { ObjectStore } from "../ports.ts";
import type { OpenSegment } from "./seen-segment.ts";
import { readSegment } from "./seen-store.ts";

export interface SegmentReads {
  readonly loaded: number;
  /** Not in the store any more. */
  readonly missing: number;
  /** Damaged, of another format, or the store did not answer. */
  readonly unreadable: number;
}

interface Held {
  readonly segment: Promise<OpenSegment | undefined>;
  /** 0 while it is on its way. */
  sizeBytes: number;
}

/** What is not there is remembered too. */
const ABSENT_BYTES = 512;

export class SegmentCache {
  readonly #store: ObjectStore;
  readonly #sizeBytesMax: number;
  /** Used longest ago first. */
  readonly #held = new Map<ObjectUri, Held>();
  readonly #reads = { loaded: 0, missing: 0, unreadable: 0 };
  #sizeBytes = 0;

  constructor(store: ObjectStore, sizeBytesMax: number) {
    this.#store = store;
    this.#sizeBytesMax = sizeBytesMax;
  }

  get reads(): SegmentReads {
    return { ...this.#reads };
  }

  /** Undefined when there is no such segment to be had. Never throws. */
  get(uri: ObjectUri): Promise<OpenSegment | undefined> {
    const held = this.#held.get(uri) ?? { segment: this.#load(uri), sizeBytes: 0 };
    this.#held.delete(uri);
    this.#held.set(uri, held);
    return held.segment;
  }

  async #load(uri: ObjectUri): Promise<OpenSegment | undefined> {
    try {
      const read = await readSegment(this.#store, uri);
      this.#reads[read.kind]++;
      const segment = read.kind === "loaded" ? read.segment : undefined;
      this.#weigh(uri, segment?.sizeBytes ?? ABSENT_BYTES);
      return segment;
    } catch {
      // The store is away, perhaps for a moment: whoever asks next tries again.
      this.#reads.unreadable++;
      this.#held.delete(uri);
      return undefined;
    }
  }

  #weigh(uri: ObjectUri, sizeBytes: number): void {
    const held = this.#held.get(uri);
    if (held === undefined) return;
    held.sizeBytes = sizeBytes;
    this.#sizeBytes += sizeBytes;
    for (const [oldest, { sizeBytes: freed }] of this.#held) {
      if (this.#sizeBytes <= this.#sizeBytesMax) return;
      if (freed === 0 || oldest === uri) continue;
      this.#held.delete(oldest);
      this.#sizeBytes -= freed;
    }
  }
}
