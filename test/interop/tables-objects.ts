// Tables of objects as rows: registered without being read, and with their bytes. Names that are hard for somebody, nulls wherever one can
// be, and a partition by the date in the path.

import type { FormatOptions } from "../../lambdas/core/config.ts";
import type { Predicate } from "./predicate.ts";
import type { Column, Row } from "./rows.ts";
import type { Story } from "./story.ts";
import { WrittenTable } from "./table.ts";

const PATH_DATE = "%Y/%m/%d";
const CONTENT_BYTES_MAX = 300;

const COLUMNS: readonly Column[] = [
  { name: "path", type: "string" },
  { name: "bucket", type: "string" },
  { name: "key", type: "string" },
  { name: "name", type: "string" },
  { name: "extension", type: "string" },
  { name: "content_type", type: "string" },
  { name: "size_bytes", type: "long" },
  { name: "etag", type: "string" },
  { name: "version_id", type: "string" },
  { name: "modified_at", type: "timestamptz" },
  { name: "path_date", type: "date" },
  { name: "region", type: "string" },
];
const CONTENT: Column = { name: "content", type: "binary" };

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, n) => n);

interface Told {
  readonly key: string;
  readonly body: Uint8Array;
  readonly row: Row;
}

const FIRST: readonly Told[] = [
  {
    key: "2024/02/29/region=süd/日本語 + 👩‍🚀.JPG",
    body: EVERY_BYTE,
    row: { extension: "jpg", content_type: "image/jpeg", path_date: "2024-02-29", region: "süd" },
  },
  {
    key: '2024/02/29/region=a%3Db/it\'s "quoted".json',
    body: Buffer.from('{"a":"ü"}'),
    row: { extension: "json", content_type: "application/json", path_date: "2024-02-29", region: "a=b" },
  },
  { key: "1969/12/31/README", body: new Uint8Array(), row: { path_date: "1969-12-31" } },
  { key: "undated/region=__HIVE_DEFAULT_PARTITION__/.profile", body: Uint8Array.of(0), row: {} },
];
/** Another commit, and an object too large to be taken. */
const SECOND: readonly Told[] = [
  {
    key: "2024/03/01/large.unknown-kind",
    body: new Uint8Array(CONTENT_BYTES_MAX + 1).fill(0xff),
    row: { extension: "unknown-kind", path_date: "2024-03-01" },
  },
];

const PREDICATES: readonly Predicate[] = [
  [{ column: "path_date", op: "=", value: "2024-02-29" }],
  [{ column: "path_date", op: "<", value: "1970-01-01" }],
  [{ column: "path_date", op: "is null" }],
];

function objects(name: string, format: FormatOptions): Story {
  return async function* (moraine) {
    const hasContent = format.type === "binary";
    const columns = hasContent ? [...COLUMNS, CONTENT] : COLUMNS;
    const table = new WrittenTable(moraine, { name, format, partitionBy: ["path_date"] });
    for (const told of [FIRST, SECOND]) {
      const landed = told.map(({ key, body, row }) => {
        const isTaken = hasContent && body.length <= CONTENT_BYTES_MAX;
        return { key, body, unread: !isTaken, row: isTaken ? { ...row, content: hexOf(body) } : row };
      });
      await table.writeObjects(columns, landed);
    }
    yield table.expectation(PREDICATES);
  };
}

/** How bytes travel to the readers. */
function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export const OBJECT_TABLES: Readonly<Record<string, Story>> = {
  objects_metadata: objects("objects_metadata", { type: "metadata", pathDate: PATH_DATE }),
  objects_binary: objects("objects_binary", {
    type: "binary",
    pathDate: PATH_DATE,
    contentBytesMax: CONTENT_BYTES_MAX,
  }),
};
