// The tables of the suite. Each is a generator: it writes, yields what readers must see, and goes on when it is asked again,
// so that other engines can do their own work on the table in between.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Moraine } from "./moraine.ts";
import type { Predicate } from "./predicate.ts";
import { type Column, JSON_TEXT, type Row } from "./rows.ts";
import { type Expectation, WrittenTable } from "./table.ts";
import { Values } from "./values.ts";

/** What is missing on this machine. */
export interface Absent {
  readonly absent: string;
}
type Told = AsyncGenerator<Expectation | Absent, void, void>;
export type Story = (moraine: Moraine) => Told;

const FLAT: readonly Column[] = [
  { name: "id", type: "long" },
  { name: "flag", type: "boolean" },
  { name: "amount", type: "long" },
  { name: "ratio", type: "double" },
  { name: "name", type: "string" },
  { name: "day", type: "date" },
  { name: "local_at", type: "timestamp" },
  { name: "at", type: "timestamptz" },
  { name: "small", type: "decimal(9, 2)" },
  { name: "medium", type: "decimal(18, 4)" },
  { name: "large", type: "decimal(38, 10)" },
];
const DECIMAL_HINTS = { small: "decimal(9,2)", medium: "decimal(18,4)", large: "decimal(38,10)" };

function flatRows(seed: number, count: number, firstId = 0): Row[] {
  const values = new Values(seed);
  return Array.from({ length: count }, (_, n) => values.row(FLAT, { id: String(firstId + n) }));
}

async function* flatJson(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "flat_json", hints: DECIMAL_HINTS });
  await table.write(FLAT, { "a.json": flatRows(1, 300), "b.json": flatRows(2, 300, 300) });
  await table.write(FLAT, { "c c+é.json": flatRows(3, 200, 600) });
  yield table.expectation([[{ column: "id", op: ">=", value: "600" }], [{ column: "amount", op: "is null" }]]);
}

async function* flatCsv(moraine: Moraine): Told {
  const format = {
    type: "csv",
    delimiter: ",",
    header: true,
    quote: '"',
    escape: '"',
    nullValues: [],
    encoding: "utf-8",
    skipLines: 0,
  } as const;
  const hints = { ...DECIMAL_HINTS, name: "string" };
  const table = new WrittenTable(moraine, { name: "flat_csv", format, hints });
  const odd = ["NaN", "Infinity", "-Infinity", "-0"].map((ratio, n) => ({ id: String(900 + n), ratio }));
  await table.write(FLAT, { "a.csv": flatRows(4, 300), "b.csv": [...flatRows(5, 100, 300), ...odd] });
  yield table.expectation([[{ column: "id", op: "<", value: "300" }], [{ column: "ratio", op: "is null" }]]);
}

const PART: Column["type"] = {
  type: "struct",
  fields: [
    { name: "sku", type: "string" },
    { name: "count", type: "long" },
    { name: "made", type: { type: "struct", fields: [{ name: "on", type: "string" }] } },
  ],
};
const NESTED: readonly Column[] = [
  { name: "id", type: "long" },
  {
    name: "address",
    type: {
      type: "struct",
      fields: [
        { name: "city", type: "string" },
        { name: "zip", type: "long" },
      ],
    },
  },
  { name: "tags", type: { type: "list", element: "string" } },
  { name: "grid", type: { type: "list", element: { type: "list", element: "long" } } },
  { name: "parts", type: { type: "list", element: PART } },
  { name: "labels", type: JSON_TEXT },
  { name: "mixed", type: JSON_TEXT },
];

function nestedRow(values: Values, n: number): Row {
  const some = <T>(value: () => T) => (values.upTo(5) === 0 ? null : value());
  const many = <T>(value: () => T) => Array.from({ length: values.upTo(4) }, value);
  const city = () => values.scalar("string");
  return {
    id: String(n),
    address: some(() => ({ city: some(city), zip: some(() => String(values.upTo(99_999))) })),
    tags: some(() => many(() => some(city))),
    grid: some(() => many(() => some(() => many(() => some(() => String(values.upTo(9))))))),
    parts: some(() => many(() => ({ sku: some(city), count: String(n), made: some(() => ({ on: "2024-02-29" })) }))),
    labels: some(() => "{}"),
    mixed: some(() => values.pick(["7", "true", '"a text"', '{"a":[1,{"b":null}]}', "[1,2]"])),
  };
}

async function* nested(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "nested" });
  const values = new Values(6);
  const rows = (first: number) => Array.from({ length: 60 }, (_, n) => nestedRow(values, first + n));
  await table.write(NESTED, { "a.json": rows(0) });
  await table.write(NESTED, { "b.json": rows(60) });
  yield table.expectation([[{ column: "id", op: ">=", value: "60" }]]);
}

// ---- partitions ----------------------------------------------------------------------------------------------------

const REGIONS = ["eu west", "a/b", "ünïcode ☃", "x=1&y=%20", "plain", "", null];
const HOURS = ["1969-12-31T22", "1969-12-31T23", "1970-01-01T00", "2024-02-29T23", "2024-03-01T00"];

function partitionedRow(values: Values, n: number): Row {
  const time = () =>
    `${values.pick(HOURS)}:${String(10 + values.upTo(50))}:07.${String(values.upTo(1e6)).padStart(6, "0")}`;
  const at = time();
  const some = <T>(value: T) => (values.upTo(12) === 0 ? null : value);
  return {
    ...values.row(FLAT),
    id: String(n),
    region: values.pick(REGIONS),
    name: some(`${values.pick(["alpha", "alpine", "beta-", "日本語の", "ß"])}${values.upTo(3)}`),
    day: some(values.pick(["1969-12-31", "1970-01-01", "2024-02-29", "2024-03-01"])),
    local_at: some(time()),
    at: some(`${at}Z`),
    amount: some(String(values.upTo(60) - 30)),
    small: some(values.pick(["-12.50", "-0.01", "0.00", "19.99", "1234567.89"])),
  };
}

const PARTITIONED: readonly Column[] = [...FLAT, { name: "region", type: "string" }];

function partitioned(
  name: string,
  partitionBy: readonly string[],
  predicates: readonly Predicate[],
  count = 40,
): Story {
  return async function* (moraine) {
    const table = new WrittenTable(moraine, { name, partitionBy, hints: DECIMAL_HINTS });
    const values = new Values(7);
    for (let commit = 0; commit < 3; commit++) {
      const first = commit * count;
      const rows = Array.from({ length: count }, (_, n) => partitionedRow(values, first + n));
      await table.write(PARTITIONED, {
        [`${commit}-a.json`]: rows.slice(0, count / 2),
        [`${commit}-b.json`]: rows.slice(count / 2),
      });
    }
    yield table.expectation(predicates);
  };
}

const LEAP_DAY: Predicate = [
  { column: "at", op: ">=", value: "2024-02-29T00:00:00.000000Z" },
  { column: "at", op: "<", value: "2024-03-01T00:00:00.000000Z" },
];
const BEFORE_1970: Predicate = [{ column: "at", op: "<", value: "1970-01-01T00:00:00.000000Z" }];

const PARTITIONED_TABLES: Readonly<Record<string, Story>> = {
  by_day: partitioned("by_day", ["day(at)"], [LEAP_DAY, BEFORE_1970, [{ column: "at", op: "is null" }]]),
  by_hour: partitioned("by_hour", ["hour(at)"], [LEAP_DAY, BEFORE_1970]),
  by_bucket: partitioned("by_bucket", ["bucket(16, id)"], [[{ column: "id", op: "=", value: "17" }]]),
  by_truncate: partitioned(
    "by_truncate",
    ["truncate(4, name)"],
    [
      [{ column: "name", op: "=", value: "alpha1" }],
      [{ column: "name", op: "starts with", value: "日本語の" }],
      [{ column: "name", op: "is null" }],
    ],
  ),
  by_region: partitioned(
    "by_region",
    ["region"],
    [
      ...REGIONS.filter((region) => region !== null).map((value): Predicate => [{ column: "region", op: "=", value }]),
      [{ column: "region", op: "is null" }],
    ],
  ),
  by_month: partitioned(
    "by_month",
    ["month(day)"],
    [[{ column: "day", op: "=", value: "1969-12-31" }], [{ column: "day", op: ">=", value: "2024-03-01" }]],
  ),
  by_many: partitioned(
    "by_many",
    ["year(local_at)", "bucket(3, name)", "truncate(10, amount)", "small", "flag"],
    [
      [{ column: "local_at", op: "<", value: "1970-01-01T00:00:00.000000" }],
      [{ column: "name", op: "=", value: "beta-1" }],
      [{ column: "amount", op: "<", value: "-20" }],
      [{ column: "small", op: "=", value: "-12.50" }],
    ],
    30,
  ),
};

// ---- change --------------------------------------------------------------------------------------------------------

const NARROW: readonly Column[] = [
  { name: "id", type: "long" },
  { name: "who", type: { type: "struct", fields: [{ name: "name", type: "string" }] } },
];
const WIDE: readonly Column[] = [
  { name: "id", type: "long" },
  {
    name: "who",
    type: {
      type: "struct",
      fields: [
        { name: "name", type: "string" },
        { name: "born", type: "date" },
      ],
    },
  },
  { name: "price", type: "double" },
  { name: "orders", type: { type: "list", element: { type: "struct", fields: [{ name: "no", type: "long" }] } } },
];
const WIDEST: readonly Column[] = [
  ...WIDE.slice(0, 3),
  {
    name: "orders",
    type: {
      type: "list",
      element: {
        type: "struct",
        fields: [
          { name: "no", type: "long" },
          { name: "note", type: "string" },
        ],
      },
    },
  },
  { name: "Ünder score", type: "boolean" },
];

async function* evolving(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "evolving" });
  await table.write(NARROW, {
    "a.json": [
      { id: "1", who: { name: "Ada" } },
      { id: "2", who: null },
    ],
  });
  await table.write(WIDE, {
    "b.json": [
      { id: "3", who: { name: "Bo", born: "1999-12-31" }, price: "1.25", orders: [{ no: "7" }] },
      { id: "4", who: { name: null, born: "2000-01-01" }, price: null, orders: [] },
    ],
  });
  await table.writeRefused("conflict.json", '{"id": 0.5}\n');
  await table.write(NARROW.slice(0, 1), { "c.json": [{ id: "5" }] });
  await table.write(WIDEST, {
    "d.json": [{ id: "6", who: null, price: "-0.5", orders: [{ no: "8", note: "x" }, null], "Ünder score": true }],
  });
  yield table.expectation([[{ column: "price", op: ">=", value: "1" }]]);
}

function replaced(name: string): Story {
  return async function* (moraine) {
    const table = new WrittenTable(moraine, { name, partitionBy: ["day(at)"], hints: DECIMAL_HINTS });
    await table.write(FLAT, {
      "a.json": flatRows(11, 20),
      "b.json": flatRows(12, 20, 100),
      "d'q\"é.json": flatRows(13, 5, 200),
    });
    await table.write(FLAT, { "a.json": flatRows(14, 25), "c.json": flatRows(15, 10, 300) });
    await table.write(FLAT, { "b.json": [], "d'q\"é.json": flatRows(16, 3, 200) });
    await table.write(FLAT, { "a.json": flatRows(17, 8) });
    yield table.expectation([[{ column: "id", op: "<", value: "100" }]]);
  };
}

async function* manyCommits(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "many_commits", partitionBy: ["bucket(2, id)"] });
  const columns = FLAT.slice(0, 5);
  for (let commit = 0; commit < 120; commit++) {
    const rows = flatRows(1_000 + commit, 3, commit * 3).map(({ id, flag, amount, ratio, name }) => {
      return { id, flag, amount, ratio, name } as Row;
    });
    await table.write(columns, { [`${commit}.json`]: rows });
  }
  await moraine.sweep(table.name);
  yield table.expectation([[{ column: "id", op: "=", value: "77" }]]);
}

const EXACT: readonly Column[] = [
  { name: "medium", type: "decimal(18, 4)" },
  { name: "large", type: "decimal(38, 10)" },
];

/** Numbers with more digits than a double holds, into decimal columns. */
async function* exactDecimals(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "exact_decimals", hints: DECIMAL_HINTS });
  const rows = [
    { medium: "5980802578965.9641", large: "-84128579434604612505.5116724700" },
    { medium: "-99999999999999.9999", large: "9999999999999999999999999999.9999999999" },
  ];
  const body = rows.map(({ medium, large }) => `{"medium":${medium},"large":${large}}\n`).join("");
  await table.writeBodies(EXACT, [{ key: "a.json", body, rows }]);
  yield table.expectation();
}

/** A table of another engine has an int; a file holds more than an int can. */
async function* widened(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "widened" });
  await table.write([{ name: "count", type: "long" }], { "a.json": [{ count: "4294967296" }] });
  yield table.expectation();
}

/** A table of another engine has a column that must not be null; one of two files holds a null there. */
async function* required(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "required" });
  const columns: readonly Column[] = [{ name: "id", type: "long" }];
  await table.write(columns, { "a.json": [{ id: "1" }] });
  await table.writeRefused("null.json", '{"id": 2}\n{"id": null}\n');
  yield table.expectation();
}

// ---- real logs -----------------------------------------------------------------------------------------------------

const CLOUDTRAIL = fileURLToPath(new URL("../../../shared/data/cloudtrail", import.meta.url));

async function* cloudtrail(moraine: Moraine): Told {
  if (!existsSync(CLOUDTRAIL)) {
    yield { absent: "the CloudTrail sample (shared/data/cloudtrail) is not here" };
    return;
  }
  const format = { type: "json", recordsPath: "Records" } as const;
  const table = new WrittenTable(moraine, { name: "cloudtrail", format, partitionBy: ["day(eventTime)"] });
  const names = readdirSync(CLOUDTRAIL).filter((name) => name.endsWith(".json"));
  const half = Math.ceil(names.length / 2);
  for (const group of [names.slice(0, half), names.slice(half)]) {
    const files = group.map((key) => {
      const body = readFileSync(`${CLOUDTRAIL}/${key}`, "utf8");
      return { key, body, rows: (JSON.parse(body) as { Records: Row[] }).Records };
    });
    await table.writeRecords(files);
  }
  yield table.expectation([[{ column: "eventTime", op: "<", value: "2023-07-10T12:00:00.000000Z" }]]);
}

// ---- other engines at work on our tables ---------------------------------------------------------------------------

/** Between the steps, other engines append, compact and expire. */
function shared(name: string, partitionBy: readonly string[]): Story {
  return async function* (moraine) {
    const table = new WrittenTable(moraine, { name, partitionBy, hints: DECIMAL_HINTS });
    await table.write(FLAT, { "a.json": flatRows(21, 12), "b.json": flatRows(22, 12, 100) });
    await table.write(FLAT, { "c.json": flatRows(23, 12, 200) });
    yield table.expectation();
    await table.write(FLAT, { "a.json": flatRows(24, 7), "d.json": flatRows(25, 5, 300) });
    yield table.expectation();
    await table.write(FLAT, { "e.json": flatRows(26, 5, 400) });
    yield table.expectation();
  };
}

const ADOPTED: readonly Column[] = [
  { name: "id", type: "long" },
  { name: "count", type: "int" },
  { name: "price", type: "decimal(12, 2)" },
  { name: "name", type: "string" },
  { name: "at", type: "timestamptz" },
  { name: "extra", type: "boolean" },
];

/** The table was made by another engine, with narrower types, a column that must not be null, and partitions. */
function adopted(name: string): Story {
  return async function* (moraine) {
    const table = new WrittenTable(moraine, { name, hints: { price: "decimal(12,2)" } });
    const values = new Values(31);
    const row = (n: number) =>
      values.row(ADOPTED, { id: String(n), name: `name ${n}`, count: String(values.upTo(100)) });
    await table.write(ADOPTED, { "a.json": [row(1), row(2)], "b.json": [row(3)] });
    await table.write(ADOPTED, { "b.json": [row(4), row(5)] });
    yield table.expectation();
  };
}

export const STORIES: Readonly<Record<string, Story>> = {
  flat_json: flatJson,
  flat_csv: flatCsv,
  nested,
  ...PARTITIONED_TABLES,
  evolving,
  replaced: replaced("replaced"),
  replaced_to_spoil: replaced("replaced_to_spoil"),
  replaced_flat: replacedFlat,
  many_commits: manyCommits,
  shared: shared("shared", []),
  shared_by_day: shared("shared_by_day", ["day(at)"]),
  adopted_spark: adopted("adopted_spark"),
  adopted_pyiceberg: adopted("adopted_pyiceberg"),
  exact_decimals: exactDecimals,
  widened,
  required,
  cloudtrail,
};
async function* replacedFlat(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "replaced_flat", hints: DECIMAL_HINTS });
  await table.write(FLAT, { "a.json": flatRows(11, 20), "b.json": flatRows(12, 20, 100) });
  await table.write(FLAT, { "a.json": flatRows(14, 25), "c.json": flatRows(15, 10, 300) });
  yield table.expectation([[{ column: "id", op: "<", value: "100" }]]);
}
