import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { MoraineConfig } from "../../../lambdas/core/config.ts";
import { parseConfig } from "../../../lambdas/core/config-file.ts";
import { resolveBuckets } from "../../../lambdas/core/resolve-buckets.ts";
import { BAD_ROW_DEFAULTS, SCHEMA_DEFAULTS } from "../../../lambdas/core/schema/defaults.ts";

const ROOT = join(import.meta.dirname, "../../..");

const SMALLEST = `ingestions:
  - id: orders
    source: { prefix: orders/ }
    format: { type: csv }
    target: { database: sales, table: orders }
`;

function valid(text: string): MoraineConfig {
  const { config, errors } = parseConfig(text, "moraine.yaml");
  if (config === undefined) throw new Error(errors.join("\n"));
  return config;
}

function errorsOf(text: string): readonly string[] {
  return parseConfig(text, "moraine.yaml").errors ?? [];
}

describe("defaults", () => {
  test("everything but the ingestions may be left out", () => {
    expect(valid(SMALLEST)).toEqual({
      landing: [{ bucket: "landing", existing: false }],
      warehouse: { bucket: "warehouse", existing: false, prefix: "" },
      commit: { intervalSeconds: 30 },
      databases: [{ database: "sales", existing: false }],
      ingestions: [
        {
          id: "orders",
          source: { bucket: "landing", prefix: "orders/", include: [], exclude: [] },
          format: {
            type: "csv",
            delimiter: ",",
            header: true,
            quote: '"',
            escape: '"',
            nullValues: [],
            encoding: "utf-8",
            skipLines: 0,
          },
          compression: "auto",
          target: {
            database: "sales",
            table: "orders",
            partitionBy: [],
            targetFileSizeBytes: 134_217_728,
            properties: {},
          },
          schema: SCHEMA_DEFAULTS,
          badRows: BAD_ROW_DEFAULTS,
          onOverwrite: "replace",
          lineage: true,
          batch: { filesMax: 1000, bytesMax: 1_073_741_824 },
          discovery: {
            events: true,
            listing: { strategy: "full" },
            schedules: [],
            concurrency: 32,
            functionsMax: 8,
          },
        },
      ],
    });
  });

  test("tsv is delimited by tabs unless told", () => {
    expect(valid(SMALLEST.replace("csv", "tsv")).ingestions[0]?.format).toMatchObject({ type: "tsv", delimiter: "\t" });
  });

  test("the escape is the quote unless told", () => {
    const format = valid(SMALLEST.replace("type: csv", 'type: csv, quote: "\'"')).ingestions[0]?.format;
    expect(format).toMatchObject({ quote: "'", escape: "'" });
  });

  test("the columns of CSV may be named, if it is said whether there is a header", () => {
    const format = (options: string) =>
      valid(SMALLEST.replace("type: csv", `type: csv, ${options}`)).ingestions[0]?.format;
    expect(format("header: false, columns: [id, note]")).toMatchObject({ header: false, columns: ["id", "note"] });
    expect(format("headerRows: 2, columns: [id]")).toMatchObject({ header: true, headerRows: 2, columns: ["id"] });
  });

  test("columns of fixed width stand behind each other unless told", () => {
    const columns = "columns: [{ name: id, width: 4 }, { name: note, start: 6, width: 6 }, { name: rest }]";
    const options = `type: fixed, ${columns}, footerLines: 1, decimalSeparator: ","`;
    expect(valid(SMALLEST.replace("type: csv", options)).ingestions[0]?.format).toEqual({
      type: "fixed",
      columns: [
        { name: "id", start: 1, width: 4 },
        { name: "note", start: 6, width: 6 },
        { name: "rest", start: 12 },
      ],
      header: false,
      nullValues: [],
      encoding: "utf-8",
      skipLines: 0,
      footerLines: 1,
      decimalSeparator: ",",
    });
  });

  test("a dialect that is recognised leaves alone what is given", () => {
    const recognised = (options: string) => {
      const format = valid(SMALLEST.replace("type: csv", `type: csv, ${options}`)).ingestions[0]?.format;
      return format?.type === "csv" ? format.recognise : [];
    };
    expect(recognised("dialect: given")).toBeUndefined();
    expect(recognised("dialect: auto")).toEqual(["delimiter", "quote", "escape", "header", "skipLines", "footerLines"]);
    expect(recognised('dialect: auto, delimiter: ";", headerRows: 2, footerLines: 0')).toEqual([
      "quote",
      "escape",
      "skipLines",
    ]);
  });

  test("objects are read up to a mebibyte, or not at all", () => {
    const format = (options: string) => valid(SMALLEST.replace("type: csv", options)).ingestions[0]?.format;
    expect(format("type: metadata")).toEqual({ type: "metadata" });
    expect(format("type: binary")).toEqual({ type: "binary", contentBytesMax: 1_048_576 });
    const dated = { type: "binary", contentBytesMax: 1, pathDate: "dt=%Y-%m-%d/%H" };
    expect(format('type: binary, contentBytesMax: 1, pathDate: "dt=%Y-%m-%d/%H"')).toEqual(dated);
  });

  test("one landing bucket is the source of every ingestion that names none", () => {
    const config = valid(`landing: [{ bucket: my-logs, existing: true }]\n${SMALLEST}`);
    expect(config.ingestions[0]?.source.bucket).toBe("my-logs");
  });

  test("durations are read in every unit", () => {
    for (const [text, seconds] of [
      ["45s", 45],
      ["10m", 600],
    ] as const) {
      expect(valid(`commit: { interval: ${text} }\n${SMALLEST}`).commit.intervalSeconds).toBe(seconds);
    }
  });

  test("a decimal is written as Iceberg writes it", () => {
    const config = valid(`${SMALLEST}    schema: { hints: { amount: "decimal(12,2)" } }\n`);
    expect(config.ingestions[0]?.schema.hints).toEqual({ amount: "decimal(12, 2)" });
  });

  test("JSON's options are kept where they are set", () => {
    const format = (text: string) => valid(SMALLEST.replace("{ type: csv }", `{ ${text} }`)).ingestions[0]?.format;
    expect(format("type: ndjson, values: true, duplicateKeys: last")).toEqual({
      type: "ndjson",
      values: true,
      duplicateKeys: "last",
    });
    for (const numbers of ["decimal", "string"] as const)
      expect(format(`type: json, numbers: ${numbers}`)).toEqual({ type: "json", numbers });
    expect(format("type: json, numbers: double")).toEqual({ type: "json" });
    expect(format("type: avro")).toEqual({ type: "avro" });
    expect(format("type: json, recordsPath: r, values: false")).toEqual({ type: "json", recordsPath: "r" });
  });

  test("anchors and aliases may be used to say a thing once", () => {
    const second = "  - { id: b, source: { prefix: b/ }, format: *f, target: { database: sales, table: b } }\n";
    const config = valid(SMALLEST.replace("{ type: csv }", "&f { type: csv, delimiter: ';' }") + second);
    expect(config.ingestions[1]?.format).toEqual(config.ingestions[0]?.format);
  });
});

test.each(["moraine.yaml", ...readdirSync(join(ROOT, "examples")).map((file) => `examples/${file}`)])(
  "%s is valid",
  (file) => {
    expect(parseConfig(readFileSync(join(ROOT, file), "utf8"), file).errors).toBeUndefined();
  },
);

describe("errors", () => {
  const line = (text: string): string => `    ${text}\n`;

  test.each([
    [
      "a typo in a key",
      SMALLEST.replace("prefix:", "prefx:"),
      "3: ingestions[0].source.prefx: is not known; remove it (did you mean prefix?)",
    ],
    [
      "records under a path that may be no objects",
      SMALLEST.replace("{ type: csv }", "{ type: json, recordsPath: r, values: true }"),
      "4: ingestions[0].format.values: does not go with recordsPath, under which records are objects; remove one of them",
    ],
    ["a missing key", SMALLEST.replace(", table: orders", ""), "5: ingestions[0].target.table: is missing; add it"],
    [
      "a wrong type",
      SMALLEST.replace("table: orders", "table: 2024"),
      "5: ingestions[0].target.table: is 2024; write text, in quotes if need be",
    ],
    [
      "an empty value",
      SMALLEST.replace("prefix: orders/", "prefix:"),
      "3: ingestions[0].source.prefix: has no value; give one or delete the line",
    ],
    [
      "a name Glue folds",
      SMALLEST.replace("table: orders", "table: Orders"),
      '5: ingestions[0].target.table: "Orders" is no Glue name; use lower-case letters, digits and _, at most 255',
    ],
    [
      "a format not built yet",
      SMALLEST.replace("csv", "orc"),
      '4: ingestions[0].format.type: "orc" is not available yet; use csv, tsv, fixed, ndjson, json, parquet, avro, metadata, binary',
    ],
    [
      "an unknown format",
      SMALLEST.replace("csv", "csvs"),
      '4: ingestions[0].format.type: "csvs" is not known; use csv, tsv, fixed, ndjson, json, parquet, avro, metadata, binary (did you mean csv?)',
    ],
    [
      "an option of another format",
      SMALLEST.replace("type: csv", "type: parquet, header: true"),
      "4: ingestions[0].format.header: is not known; remove it",
    ],
    [
      "a date pattern with a part that is not known",
      SMALLEST.replace("type: csv", 'type: metadata, pathDate: "%Y/%j"'),
      '4: ingestions[0].format.pathDate: "%Y/%j" %j is not known; write the pattern with %Y, %m, %d and %H',
    ],
    [
      "a date pattern that leaves out the month",
      SMALLEST.replace("type: csv", 'type: binary, pathDate: "%Y/%d"'),
      '4: ingestions[0].format.pathDate: "%Y/%d" lacks %m; write a pattern such as %Y/%m/%d',
    ],
    [
      "a date pattern without a date",
      SMALLEST.replace("type: csv", "type: metadata, pathDate: yesterday"),
      '4: ingestions[0].format.pathDate: "yesterday" lacks %Y; write a pattern such as %Y/%m/%d',
    ],
    [
      "a date pattern with a part twice",
      SMALLEST.replace("type: csv", 'type: metadata, pathDate: "%Y/%m/%Y"'),
      '4: ingestions[0].format.pathDate: "%Y/%m/%Y" has %Y twice; name each part of the date once',
    ],
    [
      "content larger than a row should be",
      SMALLEST.replace("type: csv", "type: binary, contentBytesMax: 16777217"),
      "4: ingestions[0].format.contentBytesMax: is 16777217; write a whole number from 1 to 16777216",
    ],
    [
      "a bound of the content where there is none",
      SMALLEST.replace("type: csv", "type: metadata, contentBytesMax: 1000"),
      "4: ingestions[0].format.contentBytesMax: is not known; remove it",
    ],
    [
      "compression of objects that are not looked into",
      SMALLEST.replace("csv", "binary") + line("compression: gzip"),
      "6: ingestions[0].compression: format binary takes objects as they are; remove it",
    ],
    [
      "a hint for a column that the format fills",
      SMALLEST.replace("csv", "metadata") + line("schema: { hints: { Size_Bytes: int } }"),
      "6: ingestions[0].schema.hints: Size_Bytes has its type from format metadata; remove its hint",
    ],
    [
      "a partition by a date that nothing finds",
      SMALLEST.replace("csv", "metadata").replace("table: orders", "table: orders, partitionBy: [path_date]"),
      "5: ingestions[0].target.partitionBy: there is no column path_date; give the format a pathDate that has it",
    ],
    [
      "a partition by hours of a pattern that has none",
      SMALLEST.replace("type: csv", 'type: metadata, pathDate: "%Y/%m/%d"').replace(
        "table: orders",
        'table: orders, partitionBy: ["hour(path_time)"]',
      ),
      "5: ingestions[0].target.partitionBy: there is no column path_time; give the format a pathDate that has it",
    ],
    [
      "replace without lineage",
      `${SMALLEST}${line("onOverwrite: replace")}${line("lineage: false")}`,
      "6: ingestions[0].onOverwrite: replace finds the old rows by _file_path; set lineage: true, or onOverwrite to append or ignore",
    ],
    [
      "replace by default without lineage",
      SMALLEST + line("lineage: false"),
      "2: ingestions[0].onOverwrite: replace finds the old rows by _file_path; set lineage: true, or onOverwrite to append or ignore",
    ],
    [
      "a type Iceberg lacks",
      SMALLEST + line("schema: { hints: { a: bigint } }"),
      '6: ingestions[0].schema.hints.a: "bigint" is no Iceberg type; use ',
    ],
    [
      "a decimal too wide",
      SMALLEST + line('schema: { hints: { a: "decimal(39, 2)" } }'),
      '6: ingestions[0].schema.hints.a: "decimal(39, 2)" is no Iceberg type; use ',
    ],
    [
      "a broken glob",
      SMALLEST.replace("prefix: orders/", 'include: ["**/*.{csv"]'),
      '3: ingestions[0].source.include[0]: "**/*.{csv" is no glob ',
    ],
    [
      "a glob as prefix",
      SMALLEST.replace("prefix: orders/", 'prefix: "orders/*"'),
      '3: ingestions[0].source.prefix: "orders/*" looks like a glob; put globs into include',
    ],
    [
      "a prefix from the root",
      SMALLEST.replace("prefix: orders/", "prefix: /orders/"),
      '3: ingestions[0].source.prefix: "/orders/" starts with /, which no S3 key does; remove the /',
    ],
    [
      "an undeclared bucket",
      SMALLEST.replace("prefix:", "bucket: raw, prefix:"),
      '3: ingestions[0].source.bucket: "raw" is no landing bucket; add it to landing, or use one of: landing',
    ],
    [
      "a landing bucket nobody reads",
      `landing: [{ bucket: a }, { bucket: b }]\n${SMALLEST.replace("prefix:", "bucket: a, prefix:")}`,
      '1: landing[1]: no ingestion reads "b"; remove it or add an ingestion',
    ],
    [
      "a warehouse that would load itself",
      `warehouse: { bucket: landing }\n${SMALLEST}`,
      '1: warehouse.bucket: "landing" is a landing bucket, and tables written there would load themselves; name another',
    ],
    [
      "a table that would load itself",
      SMALLEST.replace("table: orders", 'table: orders, location: "s3://landing/t"'),
      '5: ingestions[0].target.location: "landing" is a landing bucket, and the table would load itself; name another',
    ],
    [
      "a partition expression with a typo",
      SMALLEST.replace("table: orders", 'table: orders, partitionBy: ["days(at)"]'),
      '5: ingestions[0].target.partitionBy[0]: "days(at)" is no partition expression; write a column, year|',
    ],
    [
      "a duration without unit",
      `commit: { interval: 60 }\n${SMALLEST}`,
      "1: commit.interval: is 60; write a duration such as 30s, 15m, 12h or 7d, from 1s to 895s",
    ],
    [
      "a duration SQS cannot delay",
      `commit: { interval: 1d }\n${SMALLEST}`,
      '1: commit.interval: is "1d"; write a duration such as 30s, 15m, 12h or 7d, from 1s to 895s',
    ],
    [
      "a number out of range",
      SMALLEST + line("batch: { filesMax: 0 }"),
      "6: ingestions[0].batch.filesMax: is 0; write a whole number from 1 to 10000",
    ],
    [
      "a delimiter of five bytes",
      SMALLEST.replace("type: csv", 'type: csv, delimiter: "|||||"'),
      '4: ingestions[0].format.delimiter: "|||||" has 5 bytes; write 1 to 4, in quotes',
    ],
    [
      "names of columns without a word on the header",
      SMALLEST.replace("type: csv", "type: csv, dialect: auto, columns: [id]"),
      "4: ingestions[0].format.columns: needs header: false, or header: true for files with a header that is to be left out",
    ],
    [
      "no names of columns",
      SMALLEST.replace("type: csv", "type: csv, header: false, columns: []"),
      "4: ingestions[0].format.columns: is empty; name every column of the files, or remove it",
    ],
    [
      "a blank name of a column",
      SMALLEST.replace("type: csv", 'type: csv, header: false, columns: [" "]'),
      "4: ingestions[0].format.columns[0]: is empty; write the column's name",
    ],
    [
      "no columns of fixed width",
      SMALLEST.replace("type: csv", "type: fixed"),
      "4: ingestions[0].format.columns: is empty; give every column its name, start and width",
    ],
    [
      "columns of fixed width over each other",
      SMALLEST.replace("type: csv", "type: fixed, columns: [{ name: a, width: 4 }, { name: b, start: 4, width: 1 }]"),
      '4: ingestions[0].format.columns: "b" starts at 4, inside the column before; give columns in order',
    ],
    [
      "a column of fixed width behind one without",
      SMALLEST.replace("type: csv", "type: fixed, columns: [{ name: a }, { name: b, start: 4, width: 1 }]"),
      '4: ingestions[0].format.columns: "b" follows a column without width; only the last may be without',
    ],
    [
      "two columns of fixed width with a name",
      SMALLEST.replace("type: csv", "type: fixed, columns: [{ name: a, width: 1 }, { name: A, width: 1 }]"),
      '4: ingestions[0].format.columns: "A" is there twice; give every column its own name',
    ],
    [
      "an option of CSV for columns of fixed width",
      SMALLEST.replace("type: csv", "type: fixed, columns: [{ name: a, width: 0 }], quote: x"),
      "4: ingestions[0].format.quote: is not known; remove it",
    ],
    [
      "a name of a column twice",
      SMALLEST.replace("type: csv", "type: csv, header: false, columns: [id, b, ID]"),
      '4: ingestions[0].format.columns: "ID" is there twice; give every column its own name',
    ],
    [
      "a delimiter that holds a line end",
      SMALLEST.replace("type: csv", 'type: csv, delimiter: ",\\n"'),
      '4: ingestions[0].format.delimiter: ",\\n" holds a line end or NUL; choose another delimiter',
    ],
    [
      "a quote that is no ASCII character",
      SMALLEST.replace("type: csv", 'type: csv, quote: "«"'),
      '4: ingestions[0].format.quote: "«" is not one ASCII character; write one, or "" for none',
    ],
    [
      "a comment that is the quote",
      SMALLEST.replace("type: csv", `type: csv, comment: '"'`),
      '4: ingestions[0].format.comment: "\\"" is the quote too; choose another',
    ],
    [
      "a quote in the delimiter",
      SMALLEST.replace("type: csv", `type: csv, delimiter: "|'", quote: "'"`),
      `4: ingestions[0].format.quote: "'" is in the delimiter too; choose another`,
    ],
    [
      "several header rows and no header",
      SMALLEST.replace("type: csv", "type: csv, header: false, headerRows: 2"),
      "4: ingestions[0].format.headerRows: needs a header; remove it or header",
    ],
    [
      "thousands that are decimals",
      SMALLEST.replace("type: csv", 'type: csv, thousandsSeparator: "."'),
      '4: ingestions[0].format.thousandsSeparator: "." is the decimal separator too; choose another',
    ],
    [
      "a separator that is a digit",
      SMALLEST.replace("type: csv", 'type: csv, decimalSeparator: "5"'),
      '4: ingestions[0].format.decimalSeparator: "5" separates no digits; write one character such as "," or "."',
    ],
    [
      "a dialect nobody knows",
      SMALLEST.replace("type: csv", "type: csv, dialect: guess"),
      '4: ingestions[0].format.dialect: "guess" is not known; use given, auto',
    ],
    [
      "an encoding nobody knows",
      SMALLEST.replace("type: csv", "type: csv, encoding: windows-1251"),
      '4: ingestions[0].format.encoding: "windows-1251" is not known; use utf-8, utf-16, latin-1, windows-1252 (did you mean windows-1252?)',
    ],
    [
      "a property Moraine keeps",
      SMALLEST.replace("table: orders", "table: orders, properties: { moraine.x: y }"),
      "5: ingestions[0].target.properties.moraine.x: is kept by Moraine itself; remove it",
    ],
    [
      "a database nobody uses",
      `databases: [{ database: other }]\n${SMALLEST}`,
      '1: databases[0].database: "other" is the target of no ingestion; remove it',
    ],
    ["no ingestion", "landing: [{ bucket: landing }]\n", "1: ingestions: is missing; add it"],
    ["an empty list of ingestions", "ingestions: []\n", "1: ingestions: is empty; describe at least one ingestion"],
    ["an empty file", "", "1: ingestions: is missing; describe at least one ingestion"],
    ["a list as file", "- a\n", 'is a list; write a mapping of "key: value" lines'],
    ["broken YAML", "ingestions: [", "1: not valid YAML: "],
    [
      "a key given twice",
      `${SMALLEST}${line("lineage: true")}${line("lineage: false")}`,
      "7: not valid YAML: Map keys must be unique; correct the syntax here",
    ],
  ])("%s", (_name, text, expected) => {
    const errors = errorsOf(text);
    expect(errors.join("\n")).toContain(expected);
    expect(errors[0]).toMatch(/^moraine\.yaml:\d+: /);
  });

  test("all errors come at once, in the order of the lines, one line each", () => {
    const errors = errorsOf(
      SMALLEST.replace("csv", "xlsx").replace("table: orders", "table: O").replace("id: orders", "id: A B"),
    );
    expect(errors.map((error) => error.split(":")[1])).toEqual(["2", "4", "5"]);
  });

  test("a broken part hides no error of another part and causes none", () => {
    const errors = errorsOf(`${SMALLEST.replace("{ type: csv }", "7")}    onOverwrite: never\n`);
    expect(errors.map((error) => error.split(": ")[1])).toEqual(["ingestions[0].format", "ingestions[0].onOverwrite"]);
  });
});

describe("two ingestions", () => {
  const two = (a: string, b: string): string => `ingestions:\n${a}\n${b}\n`;
  const item = (id: string, prefix: string, target: string): string =>
    `  - { id: ${id}, source: { prefix: ${prefix} }, format: { type: ndjson }, target: { database: d, ${target} } }`;

  test("must not share an id", () => {
    expect(errorsOf(two(item("a", "a/", "table: a"), item("a", "b/", "table: b")))).toEqual([
      'moraine.yaml:3: ingestions[1].id: "a" is taken by an ingestion above; choose another id',
    ]);
  });

  test("must not take the same keys, or a file would go to whichever comes first", () => {
    expect(errorsOf(two(item("a", "x/", "table: a"), item("b", "x/", "table: b")))).toEqual([
      'moraine.yaml:3: ingestions[1].source.prefix: "a" takes the same keys; give one of the two another prefix, include or exclude',
    ]);
  });

  test("may nest their prefixes: the longer one wins", () => {
    expect(errorsOf(two(item("a", "x/", "table: a"), item("b", "x/y/", "table: b")))).toEqual([]);
  });

  test("may feed one table when they agree on its partitions", () => {
    const target = "table: t, partitionBy: [region]";
    expect(errorsOf(two(item("a", "a/", target), item("b", "b/", target)))).toEqual([]);
    expect(errorsOf(two(item("a", "a/", target), item("b", "b/", "table: t")))).toEqual([
      'moraine.yaml:3: ingestions[1].target.partitionBy: "a" loads the same table with another partitionBy; make the two equal',
    ]);
  });
});

describe("resolveBuckets", () => {
  const text = `landing: [{ bucket: landing }, { bucket: company-logs, existing: true }]
ingestions:
  - { id: a, source: { bucket: landing }, format: { type: ndjson }, target: { database: d, table: a, location: "s3://warehouse/x/a" } }
  - { id: b, source: { bucket: company-logs }, format: { type: ndjson }, target: { database: d, table: b } }
`;

  test("puts real names everywhere a created bucket is named, and leaves existing ones alone", () => {
    const config = resolveBuckets(valid(text), { landing: "real-landing", warehouse: "real-warehouse" });
    expect(config.landing.map(({ bucket }) => bucket)).toEqual(["real-landing", "company-logs"]);
    expect(config.warehouse.bucket).toBe("real-warehouse");
    expect(config.ingestions.map(({ source }) => source.bucket)).toEqual(["real-landing", "company-logs"]);
    expect(config.ingestions[0]?.target.location).toBe("s3://real-warehouse/x/a");
  });

  test("never takes a name from the mapping's prototype", () => {
    const named = valid(text.replaceAll("company-logs", "constructor"));
    expect(resolveBuckets(named, {}).landing[1]?.bucket).toBe("constructor");
  });

  test("a configuration that went through JSON, as it does into the function's package, is the same", () => {
    const config = valid(text);
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
  });
});
