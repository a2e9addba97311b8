// What every cache of known files must do: know what it was told, of that ingestion, bucket and very version, and nothing else.
// Runs against the fake and, in test/cache, against the adapter before a real server.

import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KnownFilesCaches } from "../../lambdas/core/discovery/known-files.ts";
import type { IngestionId } from "../../lambdas/core/ids.ts";
import type { ListedObject } from "../../lambdas/core/ports.ts";
import { hostileObject, listed } from "../unit/discovery/listed.ts";

export interface CachesUnderTest {
  readonly caches: KnownFilesCaches;
  /** Throws all entries out. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const ORDERS = "orders" as IngestionId;
const A = listed("orders/a");
const OTHERS: readonly [string, Partial<ListedObject>][] = [
  ["key", { key: "orders/b" }],
  ["ETag", { etag: "other" }],
  ["size", { sizeBytes: 11 }],
  ["second of LastModified", { lastModifiedMs: A.lastModifiedMs + 1000 }],
];

export function knownFilesContract(subject: string, open: () => Promise<CachesUnderTest>): void {
  describe(`known files: ${subject}`, () => {
    let under: CachesUnderTest;
    beforeAll(async () => {
      under = await open();
    });
    beforeEach(() => under.flush());
    afterAll(() => under?.close());
    const cache = (ingestion = ORDERS, bucket = "landing") => under.caches(ingestion, bucket);

    test("knows what it was told, in the order it is asked, and nothing else", async () => {
      const [b, c] = [listed("orders/b"), listed("orders/c")];
      await cache().add([c, A]);
      expect(await cache().has([A, b, c, A])).toEqual([true, false, true, true]);
      expect(await cache().has([])).toEqual([]);
      await cache().add([]);
    });

    test.each(OTHERS)("a version with another %s is not known", async (_, change) => {
      await cache().add([A]);
      expect(await cache().has([{ ...A, ...change }, A])).toEqual([false, true]);
    });

    test("a listing and an inventory, which tell time more finely, mean the same version", async () => {
      await cache().add([{ ...A, lastModifiedMs: A.lastModifiedMs + 250 }]);
      expect(await cache().has([A])).toEqual([true]);
    });

    test("another ingestion and another bucket know nothing of it", async () => {
      await cache().add([A]);
      expect(await cache("orders2" as IngestionId).has([A])).toEqual([false]);
      expect(await cache(ORDERS, "other").has([A])).toEqual([false]);
    });

    test("a cache that was flushed knows nothing, and can be told again", async () => {
      await cache().add([A]);
      await under.flush();
      expect(await cache().has([A])).toEqual([false]);
      await cache().add([A]);
      expect(await cache().has([A])).toEqual([true]);
    });

    test("thousands of objects are asked for and added at once", async () => {
      const objects = Array.from({ length: 2_500 }, (_, n) => listed(`orders/${n}`));
      await cache().add(objects.filter((_, n) => n % 3 === 0));
      expect(await cache().has(objects)).toEqual(objects.map((_, n) => n % 3 === 0));
    });

    test("whatever the keys and versions are, it never knows what it was not told", async () => {
      const facts = (object: ListedObject) =>
        JSON.stringify({ ...object, lastModifiedMs: Math.floor(object.lastModifiedMs / 1000) });
      const objects = fc.array(hostileObject, { maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(objects, objects, async (told, asked) => {
          await under.flush();
          await cache().add(told);
          const known = new Set(told.map(facts));
          expect(await cache().has(asked)).toEqual(asked.map((object) => known.has(facts(object))));
        }),
        { numRuns: 60 },
      );
    });
  });
}
