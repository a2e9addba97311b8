// The bucket whose files are to be found: objects come, some by uploads that take long, are overwritten and deleted, and S3 tells of
// them late, twice, or - as it never should, and events that were switched off for a while do - not at all. It remembers every version,
// for the checkers.

import { laterKey } from "../../../lambdas/core/discovery/cursor.ts";
import { formatIntake, type ObjectVersion } from "../../../lambdas/core/events.ts";
import { objectUri } from "../../../lambdas/core/ids.ts";
import type { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { etagOf } from "../row-converter.ts";
import type { World } from "../world.ts";
import { keyOf, type LayoutName } from "./layouts.ts";

export const BUCKET = "landing";

export interface Version {
  readonly key: string;
  readonly etag: string;
  readonly lines: readonly string[];
}

const EVENT_DELAY_MAX_MS = 10_000;
const UPLOAD_MAX_MS = 30_000;

export class Bucket {
  readonly current = new Map<string, Version>();
  /** When each key was there first. */
  readonly #firstMs = new Map<string, number>();
  readonly #versions = new Map<string, Version>();
  readonly #world: World;
  readonly #store: MemoryObjectStore;
  readonly #deliver: (body: string) => void;
  readonly #layout: LayoutName;
  readonly #eventsLost: number;
  #serial = 0;

  /** `eventsLost`: share of events that never come. */
  constructor(
    world: World,
    store: MemoryObjectStore,
    options: { readonly layout: LayoutName; readonly eventsLost: number; readonly deliver: (body: string) => void },
  ) {
    this.#world = world;
    this.#store = store;
    this.#deliver = options.deliver;
    this.#layout = options.layout;
    this.#eventsLost = options.eventsLost;
  }

  async act(): Promise<void> {
    const world = this.#world;
    const known = [...this.current.keys()];
    if (known.length > 0 && world.chance(0.1)) return this.#delete(world.pick(known));
    // A multipart upload is dated from its start.
    const startedAtMs = world.now() - (world.chance(0.4) ? world.upTo(UPLOAD_MAX_MS) : 0);
    await this.put(known.length > 0 && world.chance(0.15) ? world.pick(known) : this.newKey(), false, startedAtMs);
  }

  newKey(): string {
    return keyOf(this.#layout, this.#world, this.#serial);
  }

  /** `silent`: no event will tell. */
  async put(key: string, silent: boolean, startedAtMs = this.#world.now()): Promise<void> {
    const version = this.#newVersion(key);
    const text = version.lines.join("\n");
    await this.#store.put(objectUri(BUCKET, key), new Uint8Array(Buffer.from(text)), { startedAtMs });
    this.#versions.set(`${key}\n${version.etag}`, version);
    this.current.set(key, version);
    if (!this.#firstMs.has(key)) this.#firstMs.set(key, this.#world.now());
    this.#world.note(`put ${JSON.stringify(key)} ${version.etag.slice(0, 6)}`);
    if (silent || this.#world.chance(this.#eventsLost)) return;
    const sequencer = this.#serial.toString(16).padStart(8, "0");
    this.#send(key, { etag: version.etag, sizeBytes: text.length, sequencer, timeMs: this.#world.now() });
  }

  /** Whether a key with this start had come by then. */
  wasThere(start: string, atMs: number): boolean {
    return [...this.#firstMs].some(([key, firstMs]) => key.startsWith(start) && firstMs <= atMs);
  }

  /** Of all keys that ever were, the greatest. */
  lastKey(): string {
    return [...this.#firstMs.keys()].reduce(laterKey, "");
  }

  versionOf(key: string, etag: string): Version | undefined {
    return this.#versions.get(`${key}\n${etag}`);
  }

  #newVersion(key: string): Version {
    const serial = this.#serial++;
    const lines = key.endsWith("/") ? [] : Array.from({ length: 1 + (serial % 3) }, (_, n) => `row${serial}-${n}`);
    return { key, lines, etag: etagOf(lines.join("\n")) };
  }

  async #delete(key: string): Promise<void> {
    await this.#store.remove([objectUri(BUCKET, key)]);
    this.current.delete(key);
    this.#world.note(`delete ${JSON.stringify(key)}`);
  }

  #send(key: string, version: ObjectVersion): void {
    if (key.endsWith("/") && version.sizeBytes === 0) return;
    const world = this.#world;
    const body = formatIntake([{ bucket: BUCKET, key, version }]);
    for (let copy = world.chance(0.1) ? 2 : 1; copy > 0; copy--) {
      const delayMs = world.chance(0.2) ? world.upTo(EVENT_DELAY_MAX_MS) : world.upTo(300);
      world.at(world.now() + delayMs, () => this.#deliver(body));
    }
  }
}
