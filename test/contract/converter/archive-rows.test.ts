// What concerns a row of one file in an archive concerns the archive: its counts are those of all files together, and a treatment reaches
// each of them.

import { describe, expect, test } from "vitest";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { ConversionJob } from "../../../lambdas/core/ports.ts";
import type { QuarantineRow } from "../../../lambdas/core/schema/quarantine.ts";
import { zip } from "../../../lib/zip.ts";
import { avroOf } from "./avro-files.ts";
import { addAll, type Bytes, convertAll, csv, jobOf, rowsOf, schemaOf, UNPARTITIONED, useScratch } from "./harness.ts";

const work = useScratch();

type Files = Readonly<Record<string, Bytes>>;

function zipOf(files: Files): Buffer {
  const entries = Object.entries(files).map(([name, bytes]) => ({ name, bytes: Buffer.from(bytes as string) }));
  return Buffer.from(zip(entries));
}

const known = schemaOf([
  { name: "id", type: "long" },
  { name: "note", type: "string" },
]);
const record = { type: "record", name: "row" };
const avro = (type: string, ids: readonly unknown[]) =>
  avroOf(
    { ...record, fields: [{ name: "id", type }] },
    ids.map((id) => ({ id })),
  );

/** Three files of one value that does not fit each, but the last; and lines that are no rows. */
const FORMATS: Readonly<Record<string, readonly [FormatOptions, Files, Files?]>> = {
  csv: [
    csv,
    { a: "id,note\n1,a\nx,b\n", b: "id,note\n2,c\n3,d\ny,e\n", c: "id,note\n4,f\n5,g\n" },
    { a: "id,note\n1,a\n2\n3,c\n", b: 'id,note\n4,"d"d\n5,e\n6,f\n7\n8,g\n', c: "id,note\n9,h\n" },
  ],
  ndjson: [
    { type: "ndjson" },
    { a: '{"id":1}\n{"id":"x"}\n', b: '{"id":2}\n{"id":3}\n{"id":"y"}\n', c: '{"id":4}\n{"id":5}\n' },
    {
      a: '{"id":1}\nno\n{"id":3}\n',
      b: '{"id":4,}\n{"id":5}\n{"id":6}\n{"id":NaN}\n{"id":8}\n',
      c: '{"id":9}\n',
    },
  ],
  json: [
    { type: "json" },
    { a: '[{"id":1},{"id":"x"}]', b: '[{"id":2},{"id":3},{"id":"y"}]', c: '[{"id":4},{"id":5}]' },
  ],
  avro: [
    { type: "avro" },
    { a: avro("string", ["1", "x"]), b: avro("string", ["2", "3", "y"]), c: avro("long", [4n, 5n]) },
  ],
};

async function load(job: ConversionJob, files: Files) {
  const conversion = await work.converter.start(job);
  try {
    const failures = await addAll(conversion, files);
    const inspection = await conversion.inspect(known, UNPARTITIONED);
    const result = await conversion.convert(known, UNPARTITIONED);
    const chunks: Uint8Array[] = [];
    const body = result.quarantine?.body;
    if (body !== undefined && "open" in body) for await (const chunk of body.open()) chunks.push(chunk);
    const lines = Buffer.concat(chunks).toString().split("\n").filter(Boolean);
    const bad = lines.map((line) => JSON.parse(line) as QuarantineRow);
    const ids = (await rowsOf(result.files)).map(({ id }) => Number(id)).sort((a, b) => a - b);
    return { ids, bad, failures: [...failures, ...inspection.failures, ...result.failures], loaded: result.loaded };
  } finally {
    await conversion.close();
  }
}

describe("values that do not fit", () => {
  test.each(Object.entries(FORMATS))(
    "in several files of an archive of %s are one report, and one treatment",
    async (_, [format, files]) => {
      const { misfits, failures, rows, result } = await convertAll(
        work,
        jobOf(format),
        { x: zipOf(files) },
        {
          known,
          treat: () => ({ rescue: true, routes: [] }),
          adds: [{ name: RESCUED_DATA, type: "string" }],
        },
      );
      expect(failures).toEqual([]);
      const columns = [{ path: "id", fileType: "string", records: 2, samples: ["x", "y"] }];
      expect(misfits).toEqual([{ index: 0, records: 7, unfit: 2, columns }]);
      expect(result.loaded).toMatchObject([{ index: 0, records: 7, rescued: 2, quarantined: 0 }]);
      const fitting = rows.flatMap(({ id }) => (id == null ? [] : [Number(id)]));
      expect(fitting.sort()).toEqual([1, 2, 3, 4, 5]);
      const kept = rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA]))]));
      expect(kept.map(({ values }) => values.id).sort()).toEqual(["x", "y"]);
      expect(new Set(kept.map(({ file }) => file))).toEqual(new Set(["s3://landing/x"]));
      expect(kept.map(({ values, member }) => [values.id, member]).sort()).toEqual([
        ["x", "a"],
        ["y", "b"],
      ]);
    },
  );

  test("leave out all files of their archive where nobody treats them", async () => {
    const [format, files] = FORMATS["csv"] as [FormatOptions, Files];
    const { misfits, loaded, rows } = await convertAll(
      work,
      jobOf(format),
      { x: zipOf(files), good: "id,note\n9,a\n" },
      { known },
    );
    expect(misfits).toHaveLength(1);
    expect(loaded).toEqual({ 1: 1 });
    expect(rows.map(({ id }) => id)).toEqual([9n]);
  });
});

describe("rows that are none", () => {
  const lines = Object.entries(FORMATS).flatMap(([name, [format, , files]]) =>
    files === undefined ? [] : [[name, format, files] as const],
  );

  test.each(lines)(
    "in files of an archive of %s are quarantined, each with the name of its file",
    async (_, format, files) => {
      const job = jobOf(format, { badRows: { onBadRow: "quarantine", shareMax: 0.5 } });
      const { ids, bad, failures, loaded } = await load(job, { x: zipOf(files) });
      expect(failures).toEqual([]);
      expect(loaded).toMatchObject([{ index: 0, records: 6, rescued: 0, quarantined: 3 }]);
      expect(ids).toHaveLength(6);
      expect(bad.map(({ file }) => file)).toEqual(Array(3).fill("s3://landing/x"));
      expect(bad.map(({ member }) => member).sort()).toEqual(["a", "b", "b"]);
    },
  );

  test.each(lines)("in files of an archive of %s are rescued", async (_, format, files) => {
    const job = jobOf(format, { badRows: { onBadRow: "rescue", shareMax: 0.5 } });
    const { failures, misfits, rows, result } = await convertAll(
      work,
      job,
      { x: zipOf(files) },
      {
        known,
        treat: () => ({ rescue: true, routes: [] }),
        adds: [{ name: RESCUED_DATA, type: "string" }],
      },
    );
    expect(failures).toEqual([]);
    expect(misfits).toMatchObject([{ index: 0, records: 9, unfit: 3 }]);
    expect(rows).toHaveLength(9);
    expect(result.loaded).toMatchObject([{ index: 0, records: 9, rescued: 3, quarantined: 0 }]);
    const kept = rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA]))]));
    expect(kept.map(({ member }) => member).sort()).toEqual(["a", "b", "b"]);
  });

  test("that are too many in one file fail the archive, which names it", async () => {
    const job = jobOf({ type: "ndjson" }, { badRows: { onBadRow: "quarantine", shareMax: 0.1 } });
    const files = { a: '{"id":1}\n', b: '{"id":2}\nno\nno\n' };
    const { ids, failures } = await load(job, { x: zipOf(files), good: '{"id":9}\n' });
    expect(failures).toMatchObject([{ index: 0, reason: "TOO_MANY_BAD_ROWS", line: 2 }]);
    expect(failures[0]?.message).toContain('member "b": ');
    expect(ids).toEqual([9]);
  });
});

test("a file's name in an archive is kept as it is, whatever it holds", async () => {
  const name = `../übel "\n'; DROP/${"long".repeat(300)}`;
  const { rows } = await convertAll(
    work,
    jobOf(csv),
    { x: zipOf({ [name]: "id\nx\n" }) },
    { known, treat: () => ({ rescue: true, routes: [] }), adds: [{ name: RESCUED_DATA, type: "string" }] },
  );
  const { member } = JSON.parse(String(rows[0]?.[RESCUED_DATA])) as { member: string };
  expect(member).toBe(`${name.slice(0, 1024)}…`);
});

test("columns of an archive that fails are no columns of a new table", async () => {
  const files = { a: '{"id":1,"only_here":2}\n', b: '{"id":2}\n{"id":}\n' };
  const { inspection, failures } = await convertAll(work, jobOf({ type: "ndjson" }), {
    x: zipOf(files),
    good: '{"id":9}\n',
  });
  expect(failures).toMatchObject([{ index: 0, reason: "MALFORMED_JSON" }]);
  expect(inspection.fields).toEqual([{ name: "id", type: "long" }]);
});
