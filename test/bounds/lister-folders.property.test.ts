// Keys that begin as a folder does and are not in it: "a/" ends where "a0" begins, and "a-" comes before it.

import fc from "fast-check";
import { expect, test } from "vitest";
import { compareUtf8 } from "../../lambdas/core/discovery/key-order.ts";
import { RangeLister } from "../../lambdas/core/discovery/lister.ts";
import type { ListRequest } from "../../lambdas/core/ports.ts";
import { SequenceLister } from "../fakes/memory-lister.ts";

const anyKey = fc
  .array(fc.constantFrom("/", "0", ".", "-", "a", "b"), { minLength: 1, maxLength: 5 })
  .map((parts) => `in/${parts.join("")}`);

test("a key right at the end of a folder is listed, once", async () => {
  const options = { bucket: "b", prefix: "in/", ranges: [{ after: "" }], isOver: () => false };
  const timer = { sleep: async () => {} };
  const clock = { now: () => 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(anyKey, { minLength: 5, maxLength: 80 }),
      fc.integer({ min: 2, max: 6 }),
      fc.integer({ min: 2, max: 8 }),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 20 }),
      async (unsorted, pageKeys, concurrency, delays) => {
        const keys = unsorted.toSorted(compareUtf8);
        const bucket = new SequenceLister(keys, pageKeys);
        const page = async (request: ListRequest) => {
          for (let turns = delays[bucket.requests % delays.length] ?? 0; turns > 0; turns--) await Promise.resolve();
          return bucket.page(request);
        };
        const visited: string[] = [];
        const visit = async ({ objects }: { readonly objects: readonly { readonly key: string }[] }) => {
          visited.push(...objects.map(({ key }) => key));
        };
        await new RangeLister({ lister: { page }, clock, timer }, { ...options, concurrency, visit }).run();
        expect(visited.sort(compareUtf8)).toEqual(keys);
      },
    ),
    { numRuns: 3000 },
  );
}, 60_000);
