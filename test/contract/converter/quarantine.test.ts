import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BadRowPolicy } from "../../../lambdas/core/config.ts";
import { RESCUED_DATA } from "../../../lambdas/core/iceberg/schema.ts";
import type { ConversionJob } from "../../../lambdas/core/ports.ts";
import { QUARANTINE_FIELDS, QUARANTINE_TEXT_MAX } from "../../../lambdas/core/schema/quarantine.ts";
import {
  ADDS,
  addAll,
  type Bytes,
  convertAll,
  csv,
  jobOf,
  quarantined,
  RESCUE,
  rowsOf,
  schemaOf,
  UNPARTITIONED,
  useScratch,
} from "./harness.ts";

const work = useScratch();

const known = () =>
  schemaOf([
    { name: "id", type: "long" },
    { name: "note", type: "string" },
  ]);

type Format = "csv" | "ndjson";
const job = (type: Format, onBadRow: BadRowPolicy["onBadRow"], shareMax = 0.5): ConversionJob =>
  jobOf(type === "csv" ? csv : { type }, { badRows: { onBadRow, shareMax } });

/** One conversion into the table that is there, or of a new one; looks at the quarantine while the conversion is open. */
async function load(asked: ConversionJob, files: Readonly<Record<string, Bytes>>, table = true) {
  const conversion = await work.converter.start(asked);
  try {
    const refused = await addAll(conversion, files);
    const { fields, failures } = await conversion.inspect(table ? known() : undefined, UNPARTITIONED);
    const result = await conversion.convert(table ? known() : schemaOf(fields), UNPARTITIONED);
    return {
      rows: await rowsOf(result.files),
      loaded: result.loaded,
      misfits: result.misfits,
      failures: [...refused, ...failures, ...result.failures],
      bad: await quarantined(result),
    };
  } finally {
    await conversion.close();
  }
}

type Row = readonly [reason: string, text: string, bytes?: Buffer];
const BAD: Readonly<Record<Format, readonly Row[]>> = {
  csv: [
    ["ROW_TOO_LONG", "7,x,y,z"],
    ["ROW_TOO_SHORT", "7"],
    ["MALFORMED_QUOTES", '7,"x"y'],
    ["INVALID_ENCODING", "7,\ufffd", Buffer.from([0x37, 0x2c, 0xff])],
  ],
  ndjson: [
    ["MALFORMED_JSON", '{"id":7,'],
    ["MALFORMED_JSON", "no json"],
    ["NOT_JSON_RECORDS", "[7]"],
    ["NOT_JSON_RECORDS", "null"],
    ["DUPLICATE_KEY", '{"id":7,"id":8}'],
    // DuckDB takes the first four for rows.
    ["MALFORMED_JSON", '{"id":NaN}'],
    ["MALFORMED_JSON", '{"id":7,}'],
    ["MALFORMED_JSON", '\f{"id":7}'],
    ["MALFORMED_JSON", "\f"],
    ["MALFORMED_JSON", '{"id":+7}'],
    ["MALFORMED_JSON", '{"id":07}'],
    ["MALFORMED_JSON", "{'id':7}"],
    ["MALFORMED_JSON", '{"id":7} {"id":8}'],
    ["MALFORMED_JSON", '{"note":"a\u0000b"}'],
    ["MALFORMED_JSON", "\u0000\u0000\u0000"],
    ["MALFORMED_JSON", '{"note":"\\ud800"}'],
    ["INVALID_ENCODING", '{"note":"\ufffd"}', Buffer.from('{"note":"\xff"}', "latin1")],
  ],
};
const good: Readonly<Record<Format, (id: number) => string>> = {
  csv: (id) => `${id},"n${id},"`,
  ndjson: (id) => `{"id":${id},"note":"n${id},"}`,
};
const header: Readonly<Record<Format, string>> = { csv: "id,note\n", ndjson: "" };
const cases = (["csv", "ndjson"] as const).flatMap((format) =>
  BAD[format].map(([reason, text, bytes]) => [format, reason, text, bytes] as const),
);

describe("a row that is none", () => {
  test.each(cases)(
    "in %s (%s, %s) is quarantined with its place, and the others load",
    async (format, reason, text, bytes) => {
      const start = `${header[format]}${good[format](1)}\n\n`;
      const file = Buffer.concat([
        Buffer.from(start),
        bytes ?? Buffer.from(text),
        Buffer.from(`\n${good[format](2)}\n`),
      ]);
      for (const table of [true, false]) {
        const asked = job(format, "quarantine");
        const { rows, loaded, failures, bad } = await load(
          asked,
          { bad: file, good: `${header[format]}${good[format](3)}\n` },
          table,
        );
        expect(failures).toEqual([]);
        expect(rows.map(({ id, note }) => [id, note]).sort()).toEqual([
          [1n, "n1,"],
          [2n, "n2,"],
          [3n, "n3,"],
        ]);
        expect(loaded).toMatchObject([
          { index: 0, records: 2, rescued: 0, quarantined: 1 },
          { index: 1, records: 1, rescued: 0, quarantined: 0 },
        ]);
        const line = format === "csv" ? 4 : 3;
        const place = { file: "s3://landing/bad", member: null, version: "etag-0", line, byte: start.length };
        expect(bad).toEqual([{ ...place, reason, message: expect.any(String), text }]);
        expect(Object.keys(bad[0] ?? {})).toEqual(QUARANTINE_FIELDS.map(({ name }) => name));
      }
    },
  );

  test.each(cases)("in %s (%s, %s) is rescued once the table has the column", async (format, reason, text, bytes) => {
    const file = Buffer.concat([
      Buffer.from(`${header[format]}${good[format](1)}\n`),
      bytes ?? Buffer.from(text),
      Buffer.from(`\n${good[format](2)}\n`),
    ]);
    const files = { bad: file, good: `${header[format]}${good[format](3)}\n` };
    const { rows, misfits, failures, result } = await convertAll(work, job(format, "rescue"), files, {
      known: known(),
      treat: () => RESCUE,
      adds: ADDS,
    });
    expect(failures).toEqual([]);
    expect(misfits).toEqual([{ index: 0, records: 3, unfit: 1, columns: [] }]);
    expect(result.loaded).toMatchObject([
      { index: 0, records: 3, rescued: 1, quarantined: 0 },
      { index: 1, records: 1, rescued: 0, quarantined: 0 },
    ]);
    expect(result.quarantine).toBeUndefined();
    const kept = rows.filter((row) => row[RESCUED_DATA] != null);
    expect(kept).toHaveLength(1);
    const rescued = JSON.parse(String(kept[0]?.[RESCUED_DATA])) as object;
    const place = { reasons: { "*": reason }, file: "s3://landing/bad", line: format === "csv" ? 3 : 2 };
    if (reason === "ROW_TOO_LONG") {
      expect(kept[0]).toMatchObject({ id: 7n, note: "x" });
      expect(rescued).toEqual({ values: { _extra: ["y", "z"] }, ...place });
    } else if (reason === "ROW_TOO_SHORT") {
      expect(kept[0]).toMatchObject({ id: 7n, note: null });
      expect(rescued).toEqual(place);
    } else {
      // What can be told of a row is in its columns.
      const own: Readonly<Record<string, object>> = {
        MALFORMED_QUOTES: { id: 7n, note: '"x"y' },
        INVALID_ENCODING: { id: 7n, note: null },
      };
      expect(kept[0]).toMatchObject((format === "csv" && own[reason]) || { id: null, note: null });
      expect(rescued).toEqual({ row: text, ...place });
    }
  });

  test("that also has a value which does not fit has both in one rescue", async () => {
    const files = { bad: 'id,note\nn/a,"x","y,",\n1,a\n2,b\nz,c\n' };
    const { rows, misfits } = await convertAll(work, job("csv", "rescue"), files, {
      known: known(),
      treat: () => RESCUE,
      adds: ADDS,
    });
    expect(misfits).toMatchObject([{ unfit: 2, columns: [{ path: "id", records: 2, line: 2 }] }]);
    const kept = rows.flatMap((row) =>
      row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA])) as object],
    );
    expect(kept).toEqual([
      {
        values: { id: "n/a", _extra: ["y,", ""] },
        reasons: { id: "no long", "*": "ROW_TOO_LONG" },
        file: "s3://landing/bad",
        line: 2,
      },
      { values: { id: "z" }, reasons: { id: "no long" }, file: "s3://landing/bad", line: 5 },
    ]);
  });

  test("fails its file where the ingestion says so, as it always did", async () => {
    for (const [format, reason, text] of cases.filter(([, , , bytes]) => bytes === undefined)) {
      const file = `${header[format]}${good[format](1)}\n${text}\n`;
      const { failures, loaded } = await load(job(format, "reject_file"), { bad: file });
      expect(failures).toMatchObject([{ index: 0, reason }]);
      expect(loaded).toEqual([]);
    }
  });

  test("is kept in the quarantine up to a length", async () => {
    const long = `${"ä".repeat(QUARANTINE_TEXT_MAX + 5)},1,2`;
    const { bad } = await load(job("csv", "quarantine"), { a: `id,note\n1,a\n${long}\n` });
    expect(bad[0]?.text).toBe("ä".repeat(QUARANTINE_TEXT_MAX));
  });

  test("as the first line of NDJSON is one among others", async () => {
    const { rows, bad } = await load(job("ndjson", "quarantine"), {
      a: `garbage\n${good.ndjson(1)}\n${good.ndjson(2)}\n`,
    });
    expect([rows.length, bad.length, bad[0]?.line]).toEqual([2, 1, 1]);
  });
});

describe("quotes", () => {
  test("that never close cost one line, and what follows is read", async () => {
    const file = 'id,note\n1,"a\nb"\n2,"open\n3,c\n4,d\n';
    const { rows, bad, failures } = await load(job("csv", "quarantine"), { a: file });
    expect(failures).toEqual([]);
    expect(rows.map(({ id }) => id)).toEqual([1n, 3n, 4n]);
    expect(bad).toMatchObject([{ line: 4, reason: "MALFORMED_QUOTES", text: '2,"open' }]);
  });

  test("that close too early, or open what never closes, are letters where the row can then be divided in one way alone", async () => {
    const file = [
      "id,note",
      '1,"a 5" pipe, ""new"""',
      '2,"open',
      '"3,"b, ""c"""',
      '4,"both "ways" alike"',
      '5,"x" y", z"',
      '6, "d, e"',
      "7,f",
      "",
    ].join("\n");
    const { rows, failures, result } = await convertAll(
      work,
      job("csv", "rescue", 1),
      { a: file },
      { treat: () => RESCUE, adds: ADDS },
    );
    expect(failures).toEqual([]);
    const lineOf = ({ id, [RESCUED_DATA]: kept }: Record<string, unknown>) =>
      kept == null ? Number(id) + 1 : Number(JSON.parse(String(kept)).line);
    rows.sort((a, b) => lineOf(a) - lineOf(b));
    expect(rows.map(({ id, note }) => [id, note])).toEqual([
      ["1", 'a 5" pipe, "new"'],
      ["2", '"open'],
      ['"3', 'b, "c"'],
      ["4", 'both "ways" alike'],
      [null, null],
      ["6", "d, e"],
      ["7", "f"],
    ]);
    expect(result.loaded).toMatchObject([{ records: 7, rescued: 5 }]);
    const kept = rows.flatMap((row) => (row[RESCUED_DATA] == null ? [] : [JSON.parse(String(row[RESCUED_DATA]))]));
    expect(kept.map(({ row, reasons, line }) => [row, reasons, line])).toEqual(
      [1, 2, 3, 4, 5].map((at) => [file.split("\n")[at], { "*": "MALFORMED_QUOTES" }, at + 1]),
    );
  });
});

describe("a header with a quote that does not end properly", () => {
  const file = '"id,"note, long"\n1,"a, b"\n2,c\n';

  test("fails its file, unless bad rows are rescued: then it is read as one of them", async () => {
    const { failures } = await load(job("csv", "quarantine"), { a: file });
    expect(failures).toMatchObject([{ reason: "MALFORMED_HEADER", line: 1 }]);
    const { rows, result } = await convertAll(work, job("csv", "rescue"), { a: file });
    expect(rows).toEqual([
      { '"id': 1n, "note, long": "a, b" },
      { '"id': 2n, "note, long": "c" },
    ]);
    expect(result.loaded).toMatchObject([{ records: 2, rescued: 0 }]);
    const mended = await convertAll(
      work,
      job("csv", "rescue"),
      { a: `${file}3,d,e\n` },
      { treat: () => RESCUE, adds: ADDS },
    );
    expect(mended.rows).toHaveLength(3);
    expect(mended.result.loaded).toMatchObject([{ records: 3, rescued: 1 }]);
  });
});

describe("empty fields behind the last", () => {
  const file = "id,note\n1,a,,\n2,b\n3\n,,,\n4,c\n5,d\n";
  const bad = [
    { line: 2, byte: 8, reason: "ROW_TOO_LONG", text: "1,a,," },
    { line: 4, byte: 18, reason: "ROW_TOO_SHORT", text: "3" },
    { line: 5, byte: 20, reason: "ROW_TOO_LONG", text: ",,," },
  ];

  test("make a bad row as any field does, and are kept as they are written", async () => {
    const quarantine = await load(job("csv", "quarantine"), { a: file });
    expect(quarantine.bad).toMatchObject(bad);
    expect(quarantine.rows.map(({ id, note }) => [id, note])).toEqual([
      [2n, "b"],
      [4n, "c"],
      [5n, "d"],
    ]);
    const { rows, misfits } = await convertAll(
      work,
      job("csv", "rescue"),
      { a: file },
      { known: known(), treat: () => RESCUE, adds: ADDS },
    );
    expect(misfits.map(({ unfit }) => unfit)).toEqual([3]);
    const kept = rows.map((row) => JSON.parse(String(row[RESCUED_DATA] ?? "{}")).values?._extra);
    const cells = rows.map(({ id, note }, at) => [id, note, kept[at]]);
    expect(cells.toSorted(([a], [b]) => Number(a ?? 3.5) - Number(b ?? 3.5))).toEqual([
      [1n, "a", ["", ""]],
      [2n, "b", undefined],
      [3n, null, undefined],
      [null, null, ["", ""]],
      [4n, "c", undefined],
      [5n, "d", undefined],
    ]);
  });
});

describe("a large file with empty fields behind the last here and there", () => {
  test("is kept as it is written, wherever it is cut into pieces", async () => {
    const isBad = (id: number) => id % 9_973 === 7;
    const lines = Array.from(
      { length: 100_000 },
      (_, id) => `${id},"text, that is long enough ${id}"${isBad(id) ? ",," : ""}`,
    );
    const { rows, bad, failures } = await load(job("csv", "quarantine"), { a: `id,note\n${lines.join("\n")}` });
    expect(failures).toEqual([]);
    expect(bad.map(({ line, text }) => [line, text])).toEqual(
      lines.flatMap((line, id) => (isBad(id) ? [[id + 2, line]] : [])),
    );
    expect(bad.length).toBeGreaterThan(5);
    expect(rows).toHaveLength(lines.length - bad.length);
    expect(rows.at(-1)).toEqual({ id: 99_999n, note: "text, that is long enough 99999" });
    let before = 8;
    for (const [id, line] of lines.entries()) {
      const kept = bad.find((row) => row.line === id + 2);
      if (kept !== undefined) expect(kept.byte).toBe(before);
      before += line.length + 1;
    }
  });
});

describe("line ends", () => {
  test("that are mixed are line ends, and no row is lost", async () => {
    const { rows, bad, failures, loaded } = await load(job("csv", "quarantine"), {
      a: "id,note\r\n1,a\n2,b\r\n3,c\r4,d\n",
    });
    expect([failures, bad]).toEqual([[], []]);
    expect(rows.map(({ id, note }) => [id, note])).toEqual([
      [1n, "a"],
      [2n, "b"],
      [3n, "c"],
      [4n, "d"],
    ]);
    expect(loaded).toMatchObject([{ records: 4, quarantined: 0 }]);
  });
});

describe("too many bad rows", () => {
  const file = (format: Format, goods: number, bads: number) =>
    header[format] +
    Array.from({ length: goods }, (_, id) => `${good[format](id)}\n`).join("") +
    Array.from({ length: bads }, () => `${BAD[format][0]?.[1]}\n`).join("");

  test.each(["csv", "ndjson"] as const)(
    "of %s fail the file, with how many of how many and the first line",
    async (format) => {
      for (const policy of ["quarantine", "rescue"] as const) {
        const { failures, loaded } = await load(job(format, policy, 0.1), {
          a: file(format, 80, 20),
          b: file(format, 1, 0),
        });
        expect(failures).toMatchObject([{ index: 0, reason: "TOO_MANY_BAD_ROWS", line: format === "csv" ? 82 : 81 }]);
        expect(failures[0]?.message).toContain("20 of 100 rows");
        expect(loaded).toMatchObject([{ index: 1, records: 1 }]);
      }
    },
  );

  test.each([
    [0.1, 90, 10, true],
    [0.1, 89, 11, false],
    [0.1, 1, 1, true],
    [0.1, 2, 2, false],
    [0.1, 0, 1, false],
    [0, 99, 1, false],
    [1, 0, 5, true],
  ])("share %s: of %s good and %s bad rows the file loads: %s", async (share, goods, bads, loads) => {
    for (const format of ["csv", "ndjson"] as const) {
      const { loaded, failures } = await load(job(format, "quarantine", share), { a: file(format, goods, bads) });
      // A file without one JSON object is no NDJSON.
      if (format === "ndjson" && goods === 0 && loads) continue;
      expect([loaded.length, failures.length], format).toEqual(loads ? [1, 0] : [0, 1]);
      if (loads) expect(loaded).toMatchObject([{ records: goods, quarantined: bads }]);
    }
  });
});

describe("random files with random damage", () => {
  const field = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("", "a", "1", "x y", "5'", "ä", "NA", "#", "-") },
    { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
  );
  const quoted = (text: string) => (/[",\r\n]|^ | $/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const damage = fc.constantFrom("7,x,y", "7", '7,"x"y', '"7,"x, y"', '7, "x, "y""', "a,b,c,d,e", ",,x,", ",,");

  test("CSV: every row is in the table or in the quarantine, and good rows are what they were", async () => {
    const row = fc.record({ note: field, bad: fc.option(damage, { nil: undefined, freq: 5 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 12 }),
        fc.constantFrom("\n", "\r\n"),
        async (rows, end) => {
          const lines = rows.map(({ note, bad }, id) => (bad === undefined ? `${id},${quoted(note)}` : bad));
          const text = `id,note${end}${lines.map((line) => line + end).join("")}`;
          if (text.includes("\0")) return;
          const goods = rows.flatMap(({ note, bad }, id) =>
            bad === undefined ? [[BigInt(id), note === "" ? null : note]] : [],
          );
          const bads = rows.length - goods.length;
          const loaded = await load(job("csv", "quarantine", 1), { a: text });
          expect(loaded.failures).toEqual([]);
          expect(loaded.rows.map(({ id, note }) => [id, note])).toEqual(goods);
          expect(loaded.loaded).toMatchObject([{ records: goods.length, quarantined: bads }]);
          expect(loaded.bad.map(({ text: kept }) => kept)).toEqual(rows.flatMap(({ bad }) => bad ?? []));
          const rescued = await convertAll(
            work,
            job("csv", "rescue", 1),
            { a: text },
            { known: known(), treat: () => RESCUE, adds: ADDS },
          );
          expect(rescued.result.loaded).toMatchObject([{ records: rows.length, rescued: bads }]);
          expect(rescued.rows.filter((kept) => kept[RESCUED_DATA] == null).map(({ id, note }) => [id, note])).toEqual(
            goods,
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test("NDJSON: every row is in the table or in the quarantine, and good rows are what they were", async () => {
    const bad = fc.constantFrom("{", "[1]", "nope", '{"id":1,"id":2}', '{"id":1} x', "null", '"text"', '{"note":"a}');
    const row = fc.record({ note: fc.string(), bad: fc.option(bad, { nil: undefined, freq: 5 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), async (rows) => {
        const lines = rows.map((made, id) => made.bad ?? JSON.stringify({ id, note: made.note }));
        const goods = rows.flatMap((made, id) => (made.bad === undefined ? [[BigInt(id), made.note]] : []));
        if (goods.length === 0) return;
        const text = lines.map((line) => `${line}\n`).join("");
        const loaded = await load(job("ndjson", "quarantine", 1), { a: text });
        expect(loaded.failures).toEqual([]);
        expect(loaded.rows.map(({ id, note }) => [id, note])).toEqual(goods);
        expect(loaded.loaded).toMatchObject([{ records: goods.length, quarantined: rows.length - goods.length }]);
        expect(loaded.bad.map(({ text: kept }) => kept)).toEqual(rows.flatMap((made) => made.bad ?? []));
        const rescued = await convertAll(
          work,
          job("ndjson", "rescue", 1),
          { a: text },
          { known: known(), treat: () => RESCUE, adds: ADDS },
        );
        expect(rescued.result.loaded).toMatchObject([{ records: rows.length, rescued: rows.length - goods.length }]);
      }),
      { numRuns: 60 },
    );
  });
});
