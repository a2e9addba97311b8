// The real core with the real converter: what a file of a batch holds costs its neighbours nothing, whichever comes first.

import { expect, test } from "vitest";
import { currentSchema } from "../../../lambdas/core/iceberg/metadata.ts";
import { typeText } from "../../../lambdas/core/iceberg/schema.ts";
import { SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";
import { Harness, ingestionOf } from "../../unit/core/harness.ts";
import { csv, useScratch } from "./harness.ts";

const work = useScratch();

const many = (line: string) => Array.from({ length: 10 }, () => line);

test.each([
  [
    "ndjson",
    { type: "ndjson" },
    many('{"c":1,"s":{"a":1}}'),
    many('{"c":5000000000,"s":{"a":1,"b":"new"}}'),
    many('{"c":"x","s":"y"}'),
  ],
  ["csv", csv, ["c", ...many("1")], ["c", ...many("5000000000")], ["c", ...many("x")]],
] as const)(
  "%s: a column grows for one file while another of the batch does not fit it",
  async (_, format, first, larger, text) => {
    for (const order of [
      [larger, text],
      [text, larger],
    ]) {
      const harness = new Harness({
        ingestions: [ingestionOf("orders", { format, schema: { ...SCHEMA_DEFAULTS, columns: { c: "int" } } })],
      });
      const ports = { converter: work.converter };
      await harness.load([await harness.put("orders/0", ...first)], { ports });
      await harness.commit("orders", ports);
      const keys = ["orders/1", "orders/2"];
      const events = [];
      for (const [i, key] of keys.entries()) events.push(await harness.put(key, ...(order[i] ?? [])));
      await harness.load(events, { ports });
      await harness.commit("orders", ports);
      const files = await Promise.all(keys.map((key) => harness.file(key)));
      const [ofLarger, ofText] = order[0] === larger ? files : files.toReversed();
      expect(ofLarger).toMatchObject({ status: "SUCCESS", loaded: { records: 10 } });
      expect(ofLarger?.loaded?.rescued ?? 0).toBe(0);
      expect(ofText).toMatchObject({ status: "SKIPPED", reason: "SCHEMA_HELD" });
      const table = await harness.table();
      const { fields } = currentSchema(table?.metadata as NonNullable<typeof table>["metadata"]);
      expect(fields.find(({ name }) => name === "c")?.type).toBe("long");
      const inside = fields.find(({ name }) => name === "s");
      if (inside !== undefined) expect(typeText(inside.type)).toBe("struct<a: long, b: string>");
    }
  },
);
