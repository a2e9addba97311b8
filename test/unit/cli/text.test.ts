import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergeInOrder } from "../../../cli/ledger-index.ts";
import { formatBytes, formatCount, formatFacts, formatTable, printable } from "../../../cli/text.ts";
import { collect } from "../../contract/collect.ts";

async function* streamOf<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

describe("merging streams that are in order", () => {
  test("gives everything, in order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.integer())), async (lists) => {
        const streams = lists.map((list) => streamOf(list.toSorted((a, b) => a - b)));
        const merged = await collect(mergeInOrder(streams, (a, b) => a - b));
        expect(merged).toEqual(lists.flat().sort((a, b) => a - b));
      }),
    );
  });

  test("closes every stream when it is left early", async () => {
    let closed = 0;
    async function* endless(): AsyncIterable<number> {
      try {
        for (let n = 0; ; n++) yield n;
      } finally {
        closed++;
      }
    }
    for await (const n of mergeInOrder([endless(), endless()], (a, b) => a - b)) if (n === 3) break;
    expect(closed).toBe(2);
  });
});

describe("text", () => {
  test("numbers stand right under each other, words left", () => {
    expect(
      formatTable(
        ["NAME", "N"],
        [
          ["a", "1"],
          ["bcdef", "1,000"],
        ],
      ),
    ).toBe(["NAME       N", "a          1", "bcdef  1,000", ""].join("\n"));
  });

  test("facts that are not known leave no line", () => {
    expect(
      formatFacts([
        ["a", "1"],
        ["label", undefined],
        ["bc", "2"],
      ]),
    ).toBe("  a   1\n  bc  2\n");
  });

  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1_048_575, "1.0 MiB"],
    [134_217_728, "128.0 MiB"],
  ])("%i bytes are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [1234567, "1,234,567"],
  ])("%i is %s", (count, text) => {
    expect(formatCount(count)).toBe(text);
  });

  test("no control character survives", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});
