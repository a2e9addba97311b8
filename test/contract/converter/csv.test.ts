import { describe, expect, test } from "vitest";
import { convertAll, csv, jobOf, schemaOf, useScratch } from "./harness.ts";

const work = useScratch();

const csvJob = (changes: Partial<typeof csv> = {}, job: Parameters<typeof jobOf>[1] = {}) =>
  jobOf({ ...csv, ...changes }, job);
const typesOf = (fields: readonly { readonly name: string; readonly type: unknown }[]) =>
  Object.fromEntries(fields.map(({ name, type }) => [name, type]));

describe("types of new columns", () => {
  test("come from every value, and leading zeros, long numbers and zones are never lost", async () => {
    const { inspection, rows, failures } = await convertAll(work, csvJob(), {
      "a.csv": [
        "b,i,big,d,zip,day,ts,tz,s,none,mixed",
        "true,1,18446744073709551616,1.5,00501,2024-02-29,2024-01-01T10:00:00,2024-01-01T10:00:00+02:00,x,,1",
        "FALSE,-2,2,2,10001,1969-12-31,2024-01-01 10:00:00.123456,2024-01-01T10:00:00Z,y,,2024-01-01",
      ].join("\n"),
    });
    expect(failures).toEqual([]);
    expect(typesOf(inspection.fields)).toEqual({
      b: "boolean",
      i: "long",
      big: "decimal(38, 0)",
      d: "double",
      zip: "string",
      day: "date",
      ts: "timestamp",
      tz: "timestamptz",
      s: "string",
      none: "string",
      mixed: "string",
    });
    expect(rows[0]).toMatchObject({ zip: "00501", i: 1n, tz: new Date("2024-01-01T08:00:00Z"), mixed: "1" });
  });

  test("one value decides, however nearly it is written like the others", async () => {
    const pairs: readonly (readonly [first: string, then: string, type: string])[] = [
      ["1", "+5", "long"],
      ["1", "-9223372036854775808", "long"],
      ["1", "9223372036854775808", "decimal(38, 0)"],
      ["1", "9".repeat(38), "decimal(38, 0)"],
      ["1", "9".repeat(39), "string"],
      ["1", "0x1F", "string"],
      ["1", "1_000", "string"],
      ["1", "007", "string"],
      ["1", "1e2", "double"],
      ["1.5", "-inf", "double"],
      ["1.5", "1e400", "string"],
      ["1.5", ".", "string"],
      ["2024-02-29", "2023-02-29", "string"],
      ["2024-02-29", "infinity", "string"],
      ["2024-01-01T10:00:00", "2024-01-01 24:00:01", "string"],
      ["2024-01-01T10:00:00Z", "2024-01-01 10:00:00+02", "timestamptz"],
      ["2024-01-01T10:00:00Z", "2024-01-01T25:00:00Z", "string"],
      ["true", "t", "string"],
    ];
    const row = (values: readonly string[]) => `${values.join(",")}\n`;
    const text = [pairs.map((_, i) => `c${i}`), pairs.map(([first]) => first), pairs.map(([, then]) => then)].map(row);
    const { inspection } = await convertAll(work, csvJob(), { "a.csv": text.join("") });
    expect(inspection.fields.map(({ type }, i) => [...(pairs[i]?.slice(0, 2) ?? []), type])).toEqual(pairs);
  });

  test("a type that changes after thousands of rows makes the column text, not a failed file", async () => {
    const lines = Array.from({ length: 30_000 }, (_, i) => (i === 29_999 ? "x" : String(i)));
    const { inspection, rows } = await convertAll(work, csvJob(), { "late.csv": `n\n${lines.join("\n")}\n` });
    expect(inspection.fields).toEqual([{ name: "n", type: "string" }]);
    expect(rows).toHaveLength(30_000);
    expect(rows).toContainEqual({ n: "x" });
  });

  test("a whole number a double would round is not made a double", async () => {
    const { inspection, rows } = await convertAll(work, csvJob(), { "a.csv": "n\n1.5\n9007199254740993\n" });
    expect(inspection.fields).toEqual([{ name: "n", type: "string" }]);
    expect(rows).toContainEqual({ n: "9007199254740993" });
  });

  test("hints win over what the values look like", async () => {
    const hints = { id: "string", price: "decimal(10,2)", at: "timestamptz" };
    const { schema, rows } = await convertAll(work, csvJob({}, { hints }), {
      "a.csv": "id,price,at\n1,2.5,2024-01-01\n",
    });
    expect(typesOf(schema.fields)).toEqual({ id: "string", price: "decimal(10, 2)", at: "timestamptz" });
    expect(rows).toEqual([{ id: "1", price: 2.5, at: new Date("2024-01-01T00:00:00Z") }]);
  });

  test("date and timestamp formats of the ingestion are used", async () => {
    const format = { dateFormat: "%d.%m.%Y", timestampFormat: "%d/%m/%Y %H:%M" };
    const { schema, rows } = await convertAll(work, csvJob(format), { "a.csv": "d,t\n31.12.2023,31/12/2023 23:59\n" });
    expect(typesOf(schema.fields)).toEqual({ d: "date", t: "timestamp" });
    expect(rows[0]).toEqual({ d: new Date("2023-12-31"), t: new Date("2023-12-31T23:59:00Z") });
  });
});

describe("headers", () => {
  // DuckDB skips lines, and counts no comment as one: the first rows were lost.
  test("comments before it cost no row, wherever they stand among blank and skipped lines", async () => {
    const job = csvJob({ comment: "#", skipLines: 1 });
    for (const before of ["x\n", "#\n#\n", "#\n\n#\n", "x\n#\n\n", '"\n#"\n\n#\n', "x\n \n#\n"]) {
      const text = `${before}a,b\n1,2\n3,4\n`;
      const files = {
        "lf.csv": text,
        "crlf.csv": text.replaceAll("\n", "\r\n"),
        "cr.csv": text.replaceAll("\n", "\r"),
      };
      const { rows, loaded, failures } = await convertAll(work, job, files);
      expect([before, failures, loaded]).toEqual([before, [], { 0: 2, 1: 2, 2: 2 }]);
      expect(rows.map((row) => Number(row["a"]) + Number(row["b"])).sort()).toEqual([3, 3, 3, 7, 7, 7]);
    }
  });

  const known = schemaOf([
    { name: "a", type: "string" },
    { name: "b", type: "string" },
  ]);

  test("a file with another column order is not loaded swapped", async () => {
    const files = { "1.csv": "a,b\na1,b1\n", "2.csv": "b,a\nb2,a2\n", "3.csv": "B,A\nb3,a3\n" };
    const { rows, loaded } = await convertAll(work, csvJob(), files, { known });
    expect(rows).toHaveLength(3);
    for (const row of [1, 2, 3]) expect(rows).toContainEqual({ a: `a${row}`, b: `b${row}` });
    expect(loaded).toEqual({ 0: 1, 1: 1, 2: 1 });
  });

  test("a column the file lacks is null and a new one is added, other files keep their rows", async () => {
    const { rows, schema } = await convertAll(work, csvJob(), { "1.csv": "a\nx\n", "2.csv": "c,a\n7,y\n" }, { known });
    expect(schema.fields.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(rows).toContainEqual({ a: "x", b: null, c: null });
    expect(rows).toContainEqual({ a: "y", b: null, c: 7n });
  });

  test("duplicate, empty and reserved names get names of their own", async () => {
    const files = { "a.csv": "id,ID,,_file_path, id \n1,2,3,4,5\n" };
    const { inspection, rows } = await convertAll(work, csvJob({}, { lineage: true }), files);
    expect(inspection.fields.map(({ name }) => name)).toEqual(["id", "ID_1", "column2", "_file_path_1", "id_2"]);
    expect(rows[0]).toMatchObject({
      id: 1n,
      ID_1: 2n,
      column2: 3n,
      _file_path_1: 4n,
      id_2: 5n,
      _file_path: "s3://landing/a.csv",
    });
  });

  test("quoted header names with delimiters and line breaks are read, and blank lines and skipped lines before them", async () => {
    const files = { "a.csv": 'made by\nsome tool\n\n"x,1","y\nz"\n1,2\n' };
    const { rows } = await convertAll(work, csvJob({ skipLines: 2 }), files);
    expect(rows).toEqual([{ "x,1": 1n, "y\nz": 2n }]);
  });

  test("names with quotes and SQL in them are only names", async () => {
    const name = `a'"); DROP TABLE x; --`;
    const { rows } = await convertAll(work, csvJob(), { "a.csv": `"${name.replaceAll('"', '""')}",b\n1,2\n` });
    expect(rows).toEqual([{ [name]: 1n, b: 2n }]);
  });

  test("names that every JavaScript object has are only names", async () => {
    const files = { "a.csv": "constructor,toString,__proto__\n1,2,x\n" };
    for (const hints of [{}, { TOSTRING: "long" }] as Readonly<Record<string, string>>[]) {
      const { schema, loaded, failures } = await convertAll(work, csvJob({}, { hints }), files);
      expect(failures).toEqual([]);
      expect(schema.fields.map(({ name, type }) => [name, type])).toEqual([
        ["constructor", "long"],
        ["toString", "long"],
        ["__proto__", "string"],
      ]);
      expect(loaded).toEqual({ 0: 1 });
    }
  });

  test("a hint finds its column without regard to case", async () => {
    const job = csvJob({}, { hints: { amount: "decimal(9, 2)" } });
    const { schema } = await convertAll(work, job, { "a.csv": "Amount\n1.5\n" });
    expect(schema.fields).toMatchObject([{ name: "Amount", type: "decimal(9, 2)" }]);
  });

  test("without a header columns are named by place", async () => {
    const { rows } = await convertAll(work, csvJob({ header: false }), { "a.csv": "1,x\n2,y\n" });
    expect(rows).toContainEqual({ column0: 1n, column1: "x" });
    expect(rows).toHaveLength(2);
  });
});

describe("values", () => {
  test("an unquoted empty field is null, a quoted one is an empty text or, outside text columns, null", async () => {
    const known = schemaOf([
      { name: "s", type: "string" },
      { name: "n", type: "long" },
      { name: "d", type: "double" },
    ]);
    const { rows, failures } = await convertAll(
      work,
      csvJob(),
      { "a.csv": 's,n,d\n,,\n"","",""\n"NULL",1,2\n' },
      { known },
    );
    expect(failures).toEqual([]);
    expect(rows).toContainEqual({ s: null, n: null, d: null });
    expect(rows).toContainEqual({ s: "", n: null, d: null });
    expect(rows).toContainEqual({ s: "NULL", n: 1n, d: 2 });
  });

  test("null texts mean null only unquoted", async () => {
    const { rows } = await convertAll(work, csvJob({ nullValues: ["NULL", "-"] }), {
      "a.csv": 'n,s\n1,NULL\n-,"NULL"\n',
    });
    expect(rows).toContainEqual({ n: 1n, s: null });
    expect(rows).toContainEqual({ n: null, s: "NULL" });
  });

  test("what DuckDB would round, cut or overflow is refused instead", async () => {
    const known = schemaOf([
      { name: "n", type: "long" },
      { name: "day", type: "date" },
      { name: "ts", type: "timestamp" },
      { name: "p", type: "decimal(5, 1)" },
      { name: "d", type: "double" },
    ]);
    const bad = {
      fraction: "1.5,,,,",
      exponent: "15e-1,,,,",
      "beyond int64": "9223372036854775808,,,,",
      "time in a date": ",2024-01-01T12:00:00,,,",
      "infinite date": ",infinity,,,",
      zone: ",,2024-01-01T12:00:00+02:00,,",
      "zone name": ",,2024-01-01 12:00:00 Europe/Berlin,,",
      decimals: ",,,1.15,",
      overflow: ",,,,1e400",
      "a whole number the double would round": ",,,,9007199254740993",
      "one of more digits than can be compared": `,,,,1${"0".repeat(38)}`,
      "a fraction that a double has no room for": "9007199254740993.5,,,,",
      "an underscore in a whole number": "1_000,,,,",
      "a hexadecimal number": "0x1F,,,,",
      "text in a number": "x,,,,",
    };
    const good = [
      "1,,,,",
      "-3.0,,,,",
      ",2024-01-01,,,",
      ",2024-01-01T00:00:00,,,",
      ",,2024-01-01,,",
      ",,,1.10,",
      ",,,,1e300",
      ",,,,9007199254740994",
      ",,,,nan",
      "9007199254740993.0,,,,",
      "1.5e1,,,,",
      "+007,,,,",
      ",,,,-inf",
    ];
    const files = Object.fromEntries(
      [...Object.values(bad), ...good].map((row, i) => [`${i}.csv`, `n,day,ts,p,d\n${row}\n`]),
    );
    const { misfits, rows, loaded } = await convertAll(work, csvJob(), files, { known });
    const refused = new Set(misfits.map(({ index }) => index));
    expect(Object.keys(bad).filter((_, i) => !refused.has(i))).toEqual([]);
    expect(good.filter((_, i) => refused.has(i + Object.keys(bad).length))).toEqual([]);
    expect(rows).toHaveLength(good.length);
    expect(Object.values(loaded)).toEqual(good.map(() => 1));
    expect(misfits.every(({ columns }) => columns.every(({ line }) => line === 2))).toBe(true);
  });

  test("a value that does not fit is reported of its file alone, with line and column", async () => {
    const known = schemaOf([
      { name: "id", type: "long" },
      { name: "note", type: "string" },
    ]);
    const files = {
      "good.csv": "id,note\n1,a\n",
      "bad.csv": 'id,note\n1,"two\nlines"\n2,ok\nSECRET,x\n',
      "also.csv": "id,note\n3,c\n",
    };
    const { failures, misfits, rows, loaded } = await convertAll(work, csvJob(), files, { known });
    expect(failures).toEqual([]);
    const column = { path: "id", fileType: "string", records: 1, samples: ["SECRET"], line: 5 };
    expect(misfits).toEqual([{ index: 1, records: 3, unfit: 1, columns: [column] }]);
    expect(rows.map(({ id }) => id).sort()).toEqual([1n, 3n]);
    expect(loaded).toEqual({ 0: 1, 2: 1 });
  });
});

test.each([
  ["", "#c\n", ""],
  ["", "\n#c\n#d\n\n", ""],
  ["skipped", "junk\n#c\n\n", ""],
  ["skipped", "#c\n\n", ""],
  ["skipped", "junk\n", "#c\n"],
])("%s comments and blank lines before the header %j cost no row", async (skipped, before, between) => {
  const job = csvJob({ comment: "#", skipLines: skipped === "" ? 0 : 1 });
  const { rows, failures } = await convertAll(work, job, { a: `${before}id,note\n${between}1,a\n2,b\n` });
  expect(failures).toEqual([]);
  expect(rows).toEqual([
    { id: 1n, note: "a" },
    { id: 2n, note: "b" },
  ]);
});

describe("files that are not as they should be", () => {
  test("short rows, long rows and broken quotes fail their files with the line, and no others", async () => {
    const files = {
      "good.csv": "a,b\n1,2\n",
      "short.csv": "a,b\n1,2\n3\n",
      "long.csv": "a,b\n1,2\n3,4,5\n",
      "quotes.csv": 'a,b\n1,"x"y\n3,4\n',
      "open.csv": 'a,b\n1,"x\n3,4\n',
      "also.csv": "a,b\n5,6\n",
    };
    const { failures, rows, loaded } = await convertAll(work, csvJob(), files);
    expect(failures.map(({ index, reason, line }) => [index, reason, line]).sort()).toEqual([
      [1, "ROW_TOO_SHORT", 3],
      [2, "ROW_TOO_LONG", 3],
      [3, "MALFORMED_QUOTES", 2],
      [4, "MALFORMED_QUOTES", 2],
    ]);
    expect(rows).toHaveLength(2);
    expect(loaded).toEqual({ 0: 1, 5: 1 });
  });

  test("the same is true when the columns are known and the file is only looked at while it is converted", async () => {
    const known = schemaOf([
      { name: "a", type: "long" },
      { name: "b", type: "string" },
    ]);
    const files = {
      "good.csv": "a,b\n1,2\n",
      "short.csv": "a,b\n1,2\n3\n",
      "open.csv": 'a,b\n1,"x\n3,4\n',
      "also.csv": "b,a\n5,6\n",
    };
    const { failures, loaded, inspection } = await convertAll(work, csvJob(), files, { known });
    expect(inspection.failures).toEqual([]);
    expect(failures.map(({ index, reason }) => [index, reason]).sort()).toEqual([
      [1, "ROW_TOO_SHORT"],
      [2, "MALFORMED_QUOTES"],
    ]);
    expect(loaded).toEqual({ 0: 1, 3: 1 });
  });

  test.each([
    ["no bytes", ""],
    ["a byte order mark only", "\ufeff"],
    ["blank lines only", "\n\n  \n"],
    ["a header only", "a,b\n"],
    ["a header without line end", "a,b"],
  ])("%s is a file without rows, and a success", async (_, text) => {
    const { failures, loaded, rows } = await convertAll(work, csvJob(), { "empty.csv": text });
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: 0 });
    expect(rows).toEqual([]);
  });

  test("line ends may be LF, CRLF or CR, and the last one may be missing", async () => {
    const files = { "lf.csv": "a,b\n1,x\n2,y", "crlf.csv": "a,b\r\n3,x\r\n4,y\r\n", "cr.csv": "a,b\r5,x\r6,y\r" };
    const { rows, failures } = await convertAll(work, csvJob(), files);
    expect(failures).toEqual([]);
    expect(rows.map(({ a }) => Number(a)).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(rows.every(({ b }) => b === "x" || b === "y")).toBe(true);
  });

  test("a line of three megabytes is read, one of twenty is refused with the reason", async () => {
    const files = { "3.csv": `a,b\n1,${"x".repeat(3e6)}\n`, "20.csv": `a,b\n1,${"x".repeat(20e6)}\n` };
    const { rows, failures } = await convertAll(work, csvJob(), files);
    expect(rows).toHaveLength(1);
    expect(String(rows[0]?.["b"])).toHaveLength(3e6);
    expect(failures).toMatchObject([{ index: 1, reason: "LINE_TOO_LONG" }]);
  });

  test("bytes that are no UTF-8 and binary files are refused, not guessed at", async () => {
    const files = {
      "latin.csv": Buffer.from("a,b\n1,\xe9\n", "latin1"),
      "binary.csv": Buffer.from([0x50, 0x4b, 3, 4, 0, 0, 1, 2]),
    };
    const { failures, rows } = await convertAll(work, csvJob(), files);
    expect(rows).toEqual([]);
    expect(failures.map(({ index, reason }) => [index, reason]).sort()).toEqual([
      [0, "INVALID_ENCODING"],
      [1, "DAMAGED_ARCHIVE"],
    ]);
  });
});

describe("quotes that are not closed at the end of a file", () => {
  test("fail it in a batch of any size, and no row is lost in silence", async () => {
    for (const open of [
      'id,note\na,b\n"open\nz,z\n',
      'id,note\na,"b ""c""\nz,z',
      'id,note\na,b\n1,"',
      'id,note\n a"b,"c\n',
    ]) {
      for (const others of [0, 1, 4, 9]) {
        const good = Object.fromEntries(Array.from({ length: others }, (_, n) => [`good-${n}`, `id,note\n${n},"x"\n`]));
        const { failures, loaded } = await convertAll(work, jobOf(csv), { open, ...good });
        expect(failures).toMatchObject([{ index: 0, reason: "MALFORMED_QUOTES" }]);
        expect(Object.keys(loaded)).toHaveLength(others);
      }
    }
  });
});
