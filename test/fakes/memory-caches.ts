// The cache of known files in memory: what it was told, for as long as it was told, unless it is away or throws entries out.

import type { KnownFilesCache, KnownFilesCaches } from "../../lambdas/core/discovery/known-files.ts";
import type { Clock, ListedObject } from "../../lambdas/core/ports.ts";

export class MemoryCaches {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  /** Until when, by all that makes a version what it is. */
  readonly #until = new Map<string, number>();
  readonly asked: string[] = [];
  readonly added: string[] = [];
  /** Away: knows nothing and takes nothing, without a word. */
  isAway = false;

  constructor(clock: Clock, ttlMs = 3_600_000) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  readonly of: KnownFilesCaches = (ingestion, bucket): KnownFilesCache => {
    const nameOf = ({ key, etag, sizeBytes, lastModifiedMs }: ListedObject) =>
      JSON.stringify([ingestion, bucket, key, etag, sizeBytes, Math.floor(lastModifiedMs / 1000)]);
    return {
      has: async (objects) => {
        this.asked.push(...objects.map(({ key }) => key));
        const now = this.#clock.now();
        return objects.map((object) => !this.isAway && (this.#until.get(nameOf(object)) ?? 0) > now);
      },
      add: async (confirmed) => {
        if (this.isAway) return;
        this.added.push(...confirmed.map(({ key }) => key));
        for (const object of confirmed) this.#until.set(nameOf(object), this.#clock.now() + this.#ttlMs);
      },
    };
  };

  flush(): void {
    this.#until.clear();
  }
}
