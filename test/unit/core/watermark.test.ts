import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newTableMetadata } from "../../../lambdas/core/iceberg/metadata.ts";
import type { IntentId } from "../../../lambdas/core/ids.ts";
import type { Intent } from "../../../lambdas/core/records.ts";
import { placeIntent, readWatermark, watermarkProperty } from "../../../lambdas/core/watermark.ts";

function intentOf(seq: number, id: string): Intent {
  return { seq, id: id as IntentId, batches: [], files: 0, records: 0, openedAtMs: 0 };
}

function metadataWith(properties: Record<string, string>) {
  const facts = { uuid: "u", location: "s3://w/t", fields: [], lastColumnId: 0, specFields: [], nowMs: 0 };
  return newTableMetadata({ ...facts, properties });
}

const id = fc.stringMatching(/^[0-9a-z:-]{1,40}$/);

describe("the watermark", () => {
  test("is read back as it was written", () => {
    fc.assert(
      fc.property(fc.nat(), id, (seq, intent) => {
        const metadata = metadataWith(watermarkProperty("ledger", intentOf(seq, intent)));
        expect(readWatermark(metadata, "ledger")).toEqual({ seq, intent });
      }),
    );
  });

  test("of another ledger is not ours: two stacks on one table never settle each other's commits", () => {
    const metadata = metadataWith(watermarkProperty("theirs", intentOf(7, "x")));
    expect(readWatermark(metadata, "ours")).toEqual({ seq: 0 });
  });

  test("that is missing means that nothing was committed", () => {
    expect(readWatermark(metadataWith({}), "ours")).toEqual({ seq: 0 });
  });
});

describe("an open intent", () => {
  test.each([
    ["is ahead of the commit before it", 4, "x", "ahead"],
    ["has landed where its own id stands", 5, "mine", "landed"],
    ["disagrees with another commit of its number", 5, "x", "disagrees"],
    ["disagrees with a later commit", 6, "x", "disagrees"],
    ["disagrees with a table that went back two commits", 3, "x", "disagrees"],
    ["disagrees with a table that never heard of the ledger", 0, "", "disagrees"],
  ] as const)("%s", (_name, seq, intent, place) => {
    expect(placeIntent({ seq, intent: intent as IntentId }, intentOf(5, "mine"))).toBe(place);
  });

  test("the first one is ahead of a table without a watermark", () => {
    expect(placeIntent({ seq: 0 }, intentOf(1, "mine"))).toBe("ahead");
  });

  test("never both may be committed and has landed, and does neither unless the numbers follow", () => {
    fc.assert(
      fc.property(fc.nat({ max: 9 }), id, fc.integer({ min: 1, max: 9 }), id, (seq, theirs, ours, mine) => {
        const place = placeIntent({ seq, intent: theirs as IntentId }, intentOf(ours, mine));
        expect(place === "ahead").toBe(seq === ours - 1);
        expect(place === "landed").toBe(seq === ours && theirs === mine);
      }),
    );
  });
});
