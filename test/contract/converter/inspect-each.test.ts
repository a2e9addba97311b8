// Looking at sources one by one: what each of them holds, and how much of it.

import { expect, test } from "vitest";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import { assignFieldIds } from "../../../lambdas/core/iceberg/schema.ts";
import { addAll, csv, jobOf, UNPARTITIONED, useScratch } from "./harness.ts";

const work = useScratch();

const KNOWN = {
  type: "struct",
  "schema-id": 0,
  fields: assignFieldIds([{ name: "id", type: "long" }], 0).fields,
} as const;

test.each<[string, FormatOptions, Record<string, string>]>([
  ["csv", csv, { a: "id\n1\n2\n", b: "id,note\n3,x\n", c: "id\n1\n2,3,4\n" }],
  ["ndjson", { type: "ndjson" }, { a: '{"id":1}\n{"id":2}\n', b: '{"id":3,"note":"x"}\n', c: '{"id":1}\n{"id"\n' }],
])("%s sources are told apart and their rows counted, but for those that fail", async (_, format, files) => {
  const conversion = await work.converter.start(jobOf(format));
  try {
    await addAll(conversion, files);
    const shapes = await conversion.inspectEach(KNOWN);
    const counted = await Promise.all(
      shapes.map(async (shape) => ({ ...shape, records: await conversion.countRecords(shape) })),
    );
    const [a, b] = counted;
    expect(a).toEqual({ index: 0, fields: [{ name: "id", type: "long" }], records: 2 });
    expect(b).toMatchObject({ index: 1, records: 1 });
    expect(b?.fields.map(({ name }) => name)).toEqual(["id", "note"]);
    expect(counted.filter(({ index, records }) => index === 2 && records !== undefined)).toEqual([]);
  } finally {
    await conversion.close();
  }
});

test("what one JSON source holds is not believed of the others: no number of theirs is rounded, no null key stands in their way", async () => {
  const known = { ...KNOWN, fields: assignFieldIds([{ name: "v", type: "double" }], 0).fields };
  const conversion = await work.converter.start(jobOf({ type: "ndjson" }));
  try {
    await addAll(conversion, { a: '{"v":9007199254740993}\n', b: '{"v":1,"gone":null}\n', c: '{"v":1.5}\n' });
    await conversion.inspect(known, UNPARTITIONED);
    expect(await conversion.inspectEach(known)).toHaveLength(3);
    const { misfits } = await conversion.convert(known, UNPARTITIONED);
    expect(misfits).toMatchObject([{ index: 0, unfit: 1, columns: [{ samples: ["9007199254740993"] }] }]);
    conversion.leaveOut(0);
    expect((await conversion.convert(known, UNPARTITIONED)).loaded).toMatchObject([
      { index: 1, records: 1 },
      { index: 2, records: 1 },
    ]);
  } finally {
    await conversion.close();
  }
});
