// The producer: objects come, at once or by uploads that take long, are overwritten, put back and deleted, and S3 tells of them late,
// twice and out of order, or not at all. It remembers every version it wrote, which is what the checkers hold the table against.

import type { ObjectEvent } from "../../lambdas/core/events.ts";
import { formatIntake } from "../../lambdas/core/events.ts";
import { objectUri } from "../../lambdas/core/ids.ts";
import type { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import { etagOf } from "./row-converter.ts";
import type { World } from "./world.ts";

export const BUCKET = "landing";

export interface Version {
  readonly key: string;
  readonly etag: string;
  readonly lines: readonly string[];
  readonly kind: "good" | "bad" | "poison" | "empty";
}

const KEYS_PER_PREFIX = 5;
const EVENT_DELAY_MAX_MS = 20_000;
/** A multipart upload: what it began before is overwritten by what came meanwhile, and that by it. */
const UPLOAD_MAX_MS = 40_000;

export class Landing {
  /** By path and ETag. */
  readonly versions = new Map<string, Version>();
  /** What stands in the bucket now. */
  readonly current = new Map<string, Version>();
  readonly #world: World;
  readonly #store: MemoryObjectStore;
  readonly #deliver: (body: string) => void;
  readonly #prefixes: readonly string[];
  /** Share of uploads that no event tells of: what stands in the end is for a listing to find. */
  readonly #eventsLost: number;
  #sequence = 0;
  #serial = 0;

  /** `prefixes`: of the keys; one that is there twice gets twice as many. */
  constructor(world: World, store: MemoryObjectStore, deliver: (body: string) => void, prefixes: readonly string[]) {
    this.#prefixes = prefixes;
    this.#world = world;
    this.#store = store;
    this.#deliver = deliver;
    this.#eventsLost = world.pick([0, 0, 0.2]);
  }

  get losesEvents(): boolean {
    return this.#eventsLost > 0;
  }

  async act(): Promise<void> {
    const world = this.#world;
    const prefix = world.pick(this.#prefixes);
    const key = `${prefix}/${world.upTo(KEYS_PER_PREFIX)}`;
    if (this.current.has(key) && world.chance(0.06)) return this.#delete(key);
    if (/^(re|twi)/.test(prefix) && world.chance(0.15)) return this.#putBack(key);
    await this.#put(key, this.#newVersion(key));
  }

  /** What a directory listing would send: ETag, size and LastModified, no sequencer. */
  list(): void {
    for (const [uri, { etag, bytes, lastModifiedMs }] of this.#store.objects) {
      const key = uri.slice(`s3://${BUCKET}/`.length);
      if (!uri.startsWith(`s3://${BUCKET}/`)) continue;
      this.#send({ bucket: BUCKET, key, version: { etag, sizeBytes: bytes.length, timeMs: lastModifiedMs } });
    }
  }

  versionOf(key: string, etag: string): Version | undefined {
    return this.versions.get(`${key}\n${etag}`);
  }

  #newVersion(key: string): Version {
    const world = this.#world;
    const serial = this.#serial++;
    const count = world.chance(0.08) ? 0 : 1 + world.upTo(4);
    const column = world.chance(0.25) ? `@c${world.upTo(3)}` : "";
    // Of another type, in all of its lines or in some.
    const odd = column === "" ? 0 : world.pick([0, 0, 0.3, 1]);
    const lines = Array.from({ length: count }, (_, n) => {
      return `${key}#${serial}#${n}${column}${world.chance(odd) ? ":long" : ""}`;
    });
    if (key.startsWith("app/") && world.chance(0.3)) lines.push(`QUARANTINE#${serial}`);
    if (world.chance(0.03)) lines.push("POISON", `${serial}`);
    else if (world.chance(0.1)) lines.push(world.pick(["BAD", `LATE#${serial}`]));
    return { key, etag: etagOf(lines.join("\n")), lines, kind: kindOf(lines) };
  }

  /** The bytes of an earlier version, uploaded again. */
  async #putBack(key: string): Promise<void> {
    const earlier = [...this.versions.values()].filter((version) => version.key === key);
    if (earlier.length > 0) await this.#put(key, this.#world.pick(earlier));
  }

  async #put(key: string, version: Version): Promise<void> {
    const world = this.#world;
    const body = new Uint8Array(Buffer.from(version.lines.join("\n")));
    const startedAtMs = world.now() - (world.chance(0.3) ? world.upTo(UPLOAD_MAX_MS) : 0);
    await this.#store.put(objectUri(BUCKET, key), body, { startedAtMs });
    this.versions.set(`${key}\n${version.etag}`, version);
    this.current.set(key, version);
    world.note(`put ${key} ${version.etag.slice(0, 6)} ${version.kind}`);
    if (world.chance(this.#eventsLost)) return;
    const sequencer = (++this.#sequence).toString(16).padStart(8, "0");
    const sizeBytes = version.lines.join("\n").length;
    this.#send({
      bucket: BUCKET,
      key,
      version: { etag: version.etag, sizeBytes, sequencer, timeMs: world.now() },
    });
  }

  async #delete(key: string): Promise<void> {
    await this.#store.remove([objectUri(BUCKET, key)]);
    this.current.delete(key);
    this.#world.note(`delete ${key}`);
  }

  #send(event: ObjectEvent): void {
    const world = this.#world;
    const body = formatIntake([event]);
    const copies = world.chance(0.15) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delayMs = world.chance(0.2) ? world.upTo(EVENT_DELAY_MAX_MS) : world.upTo(300);
      world.at(world.now() + delayMs, () => this.#deliver(body));
    }
  }
}

function kindOf(lines: readonly string[]): Version["kind"] {
  if (lines.includes("POISON")) return "poison";
  if (lines.some((line) => line === "BAD" || line.startsWith("LATE"))) return "bad";
  return lines.length === 0 ? "empty" : "good";
}
