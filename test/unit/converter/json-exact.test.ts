import fc from "fast-check";
import { expect, test } from "vitest";
import { decimalPlaces, Quoter } from "../../../lambdas/adapters/converter/json/exact.ts";
import type { NestedField } from "../../../lambdas/core/iceberg/types.ts";

const field = (id: number, name: string, type: NestedField["type"]): NestedField => ({
  id,
  name,
  required: false,
  type,
});
const D = "decimal(38, 6)";
const PLACES = decimalPlaces([
  field(1, "d", D),
  field(2, "l", { type: "list", "element-id": 9, element: D, "element-required": false }),
  field(3, "s", { type: "struct", fields: [field(4, "é", D)] }),
]) as NonNullable<ReturnType<typeof decimalPlaces>>;
const N = "5980802578965.9641";

const TEXT = `{"d" : ${N},"x":${N},"t":"\\"d\\":${N}, {","l":[1, -${N}],"s":{"é":${N},"d":${N}}}\n{"d":1.5,"l":[]}\n`;
const QUOTED = `{"d" : "${N}","x":${N},"t":"\\"d\\":${N}, {","l":[1, "-${N}"],"s":{"é":"${N}","d":${N}}}\n{"d":1.5,"l":[]}\n`;

test("only numbers a double would cut, and only in decimal columns, are quoted, wherever the text is cut in pieces", () => {
  const bytes = Buffer.from(TEXT).toString("latin1");
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const quoter = new Quoter(PLACES);
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const out = at.slice(1).map((end, i) => quoter.add(bytes.slice(at[i], end)));
      expect(Buffer.from(out.join("") + quoter.end(), "latin1").toString()).toBe(QUOTED);
    }),
  );
});

test("a structure in a column of text is quoted whole if it holds such a number, wherever the text is cut in pieces", () => {
  const places = decimalPlaces([field(1, "t", "string"), field(2, "d", D)], true) as NonNullable<typeof PLACES>;
  const structures = [`{"é": [1, ${N}, "\\"}"]}`, `[[], {"a":1.5}]`, `[${N}, 1e400]`, "[1e400]", "{}"];
  const text = structures.map((value) => `{"t": ${value} ,"d":${N}}\n`).join("");
  const wanted = structures.map(
    (value, i) => `{"t": ${[0, 2, 3].includes(i) ? JSON.stringify(value) : value} ,"d":"${N}"}\n`,
  );
  const bytes = Buffer.from(text).toString("latin1");
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const quoter = new Quoter(places);
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const out = at.slice(1).map((end, i) => quoter.add(bytes.slice(at[i], end)));
      expect(Buffer.from(out.join("") + quoter.end(), "latin1").toString()).toBe(wanted.join(""));
    }),
  );
});
