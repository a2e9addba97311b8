// The tables of the suite. Each is a generator: it writes, yields what readers must see, and goes on when it is asked again,
// so that other engines can do their own work on the table in between.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Moraine } from "./moraine.ts";
import { type Column, JSON_TEXT, type Row } from "./rows.ts";
import { DECIMAL_HINTS, FLAT, flatRows, type Story, type Told } from "./story.ts";
import { WrittenTable } from "./table.ts";
import { OBJECT_TABLES } from "./tables-objects.ts";
import { PARTITIONED_TABLES } from "./tables-partitioned.ts";
import { SHARED_TABLES } from "./tables-shared.ts";
import { Values } from "./values.ts";

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
  await table.leaveHeld("conflict.json", '{"id": 0.5}\n');
  await table.write(NARROW.slice(0, 1), { "c.json": [{ id: "5" }] });
  await table.write(WIDEST, {
    "d.json": [{ id: "6", who: null, price: "-0.5", orders: [{ no: "8", note: "x" }, null], "Ünder score": true }],
  });
  yield table.expectation([[{ column: "price", op: ">=", value: "1" }]]);
}

const ORDERS: readonly Column[] = [
  { name: "id", type: "long" },
  { name: "price", type: "long" },
  { name: "flag", type: "boolean" },
];
const MERGED: readonly Column[] = [...ORDERS, { name: "price_string", type: "string" }];
const ACCEPTED: readonly Column[] = [
  ...ORDERS.slice(0, 2),
  { name: "flag_v1", type: "boolean" },
  { name: "flag", type: "long" },
  { name: "price_string", type: "string" },
];

/** Files that did not fit, and what was decided about them: a sibling column, a column under another name, rescued values. */
async function* decided(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "decided" });
  await table.write(ORDERS, {
    "a.json": [
      { id: "1", price: "10", flag: true },
      { id: "2", price: null, flag: false },
    ],
  });
  const merged = [
    { id: "3", price_string: "about 5" },
    { id: "4", price: "7", flag: true },
  ];
  const body = '{"id": 3, "price": "about 5"}\n{"id": 4, "price": 7, "flag": true}\n';
  await table.writeHeld("merge", MERGED, [{ key: "b.json", body, rows: merged }]);
  const accepted = [
    { id: "5", flag: "5" },
    { id: "6", flag: null, price: "1" },
  ];
  const counted = '{"id": 5, "flag": 5}\n{"id": 6, "price": 1}\n';
  await table.writeHeld("accept", ACCEPTED, [{ key: "c.json", body: counted, rows: accepted }], { flag: "flag_v1" });
  const many = Array.from({ length: 200 }, (_, n): Row => ({ id: String(100 + n), flag: String(n) }));
  const rescued = {
    values: { id: "none" },
    reasons: { id: "no long" },
    file: "s3://landing/decided/d.json",
    line: 201,
  };
  const lines = [...many.map(({ id, flag }) => `{"id": ${id}, "flag": ${flag}}`), '{"id": "none", "price": 2}'];
  const rows = [...many, { id: null, price: "2", _rescued_data: JSON.stringify(rescued) }];
  const columns = [...ACCEPTED, { name: "_rescued_data", type: JSON_TEXT } as const];
  await table.writeBodies(columns, [{ key: "d.json", body: `${lines.join("\n")}\n`, rows }]);
  yield table.expectation([[{ column: "flag", op: ">=", value: "190" }], [{ column: "price_string", op: "is null" }]]);
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
    { medium: "-12345678901234.5678", large: "123456789.0123456789" },
  ];
  const body = rows.map(({ medium, large }) => `{"medium":${medium},"large":${large}}\n`).join("");
  await table.writeBodies(EXACT, [{ key: "a.json", body, rows }]);
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

export const STORIES: Readonly<Record<string, Story>> = {
  flat_json: flatJson,
  flat_csv: flatCsv,
  nested,
  ...PARTITIONED_TABLES,
  evolving,
  decided,
  replaced: replaced("replaced"),
  replaced_to_spoil: replaced("replaced_to_spoil"),
  replaced_flat: replacedFlat,
  many_commits: manyCommits,
  ...SHARED_TABLES,
  ...OBJECT_TABLES,
  exact_decimals: exactDecimals,
  cloudtrail,
};
async function* replacedFlat(moraine: Moraine): Told {
  const table = new WrittenTable(moraine, { name: "replaced_flat", hints: DECIMAL_HINTS });
  await table.write(FLAT, { "a.json": flatRows(11, 20), "b.json": flatRows(12, 20, 100) });
  await table.write(FLAT, { "a.json": flatRows(14, 25), "c.json": flatRows(15, 10, 300) });
  yield table.expectation([[{ column: "id", op: "<", value: "100" }]]);
}
