// Images under an ingestion that registers them and one that takes their bytes: rows are what was put, and what need not be read
// is not read. A GET or HEAD of such an object would be cut off, and is counted.

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mapLimit } from "../../lambdas/core/concurrency.ts";
import { objectUri } from "../../lambdas/core/ids.ts";
import { exportRows } from "../../local/rows.ts";
import { synthesizeApp, World } from "./support/world.ts";

const BOUND = 100_000;
const YAML = `
ingestions:
  - id: pictures
    source: { prefix: pictures/ }
    format: { type: metadata, pathDate: "%Y/%m/%d" }
    target: { database: test, table: pictures, partitionBy: [region, path_date] }
    schema: { hints: { region: string } }
  - id: thumbnails
    source: { prefix: thumbnails/ }
    format: { type: binary, contentBytesMax: ${BOUND} }
    target: { database: test, table: thumbnails, partitionBy: ["day(modified_at)"] }
    onOverwrite: append
`;
/** Batches of many objects: a window of 0.5 s. */
const TIME_SCALE = 0.05;
const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const png = (bytes: number) => Buffer.concat([SIGNATURE, randomBytes(bytes - SIGNATURE.length)]);

let world: World;
beforeAll(async () => {
  world = await World.start(await synthesizeApp(YAML), { timeScale: TIME_SCALE });
});
afterAll(() => world.stop());

/** Puts the objects and gives their ETags by key; reads of keys that begin so are cut off from here on. */
async function put(objects: Readonly<Record<string, Buffer>>, ...unread: string[]): Promise<Record<string, string>> {
  const requests = unread.flatMap((start) =>
    ["S3.GetObject", "S3.HeadObject"].map((on) => ({ on, path: `/${world.bucket}/${start}`, effect: "drop" as const })),
  );
  world.stack.faults.set({ seed: 1, requests });
  const etags = await mapLimit(Object.entries(objects), 16, async ([key, bytes]) => {
    const stored = await world.ports.store.put(objectUri(world.bucket, key), bytes);
    return [key, stored.kind === "stored" ? stored.etag : ""] as const;
  });
  await world.settle();
  world.stack.faults.set();
  expect(world.stack.faults.fired).toEqual([]);
  return Object.fromEntries(etags);
}

async function rowsOf(ingestion: string): Promise<Record<string, unknown>[]> {
  const target = world.config.ingestions.find(({ id }) => id === ingestion)?.target;
  const table = target && (await world.ports.catalog.load(target));
  const folder = mkdtempSync(join(tmpdir(), "moraine-objects-"));
  try {
    const file = join(folder, "rows.ndjson");
    if (table !== undefined) await exportRows(world.ports.store, table.metadata, file);
    const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const factsOf = ({
  bucket,
  key,
  name,
  extension,
  content_type,
  size_bytes,
  etag,
  version_id,
}: Record<string, unknown>) => ({
  bucket,
  key,
  name,
  extension,
  content_type,
  size_bytes,
  etag,
  version_id,
});
const byKey = (a: { key: unknown }, b: { key: unknown }) => (String(a.key) < String(b.key) ? -1 : 1);

test("pictures are registered with their facts and their path's values, and none of them is read", async () => {
  const objects = Object.fromEntries(
    Array.from({ length: 90 }, (_, n) => {
      const day = String(1 + (n % 3)).padStart(2, "0");
      return [`pictures/region=eu-${n % 2}/2026/02/${day}/o'dd "ñame" +=%20 ${n}.PNG`, png(9 + n)] as const;
    }),
  );
  const all = { ...objects, "pictures/no date/and no region": Buffer.from("text") };
  const etags = await put(all, "pictures/");
  const rows = await rowsOf("pictures");
  const expected = Object.entries(all).map(([key, bytes]) => ({
    bucket: world.bucket,
    key,
    name: key.split("/").at(-1),
    extension: key.endsWith(".PNG") ? "png" : null,
    content_type: key.endsWith(".PNG") ? "image/png" : null,
    size_bytes: bytes.length,
    etag: etags[key],
    version_id: null,
  }));
  expect(rows.map(factsOf).sort(byKey)).toEqual(expected.sort(byKey));
  for (const row of rows) {
    const key = String(row["key"]);
    const [, region = null, month, day] = /region=([^/]+)\/2026\/(\d\d)\/(\d\d)\//.exec(key) ?? [];
    const date = day === undefined ? null : `2026-${month}-${day}`;
    const path = `s3://${world.bucket}/${key}`;
    expect(row).toMatchObject({
      path,
      _file_path: path,
      region,
      path_date: date,
      modified_at: row["_file_modified_at"],
    });
  }
});

test("a picture put again has one row, of its last version", async () => {
  const key = "pictures/region=eu-0/2026/02/01/again.png";
  await put({ [key]: png(100) }, "pictures/");
  const etags = await put({ [key]: png(200) }, "pictures/");
  const rows = (await rowsOf("pictures")).filter((row) => row["key"] === key);
  expect(rows.map((row) => [row["size_bytes"], row["etag"]])).toEqual([[200, etags[key]]]);
});

test("thumbnails come with their bytes, and what is above the bound is not read", async () => {
  const small = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`thumbnails/${n}.png`, png(9 + n * 997)]));
  const objects: Record<string, Buffer> = {
    ...small,
    "thumbnails/large/a.png": png(BOUND + 1),
    "thumbnails/exact": png(BOUND),
  };
  await put(objects, "thumbnails/large/");
  const rows = await rowsOf("thumbnails");
  expect(rows).toHaveLength(Object.keys(objects).length);
  for (const row of rows) {
    const bytes = objects[String(row["key"])] as Buffer;
    expect(row).toMatchObject({ size_bytes: bytes.length });
    if (row["content"] === null) expect(row["name"]).toBe("a.png");
    else expect(bytesOfText(String(row["content"])).equals(bytes)).toBe(true);
  }
  // Under append the earlier version's row stays.
  await put({ "thumbnails/0.png": png(50) });
  expect((await rowsOf("thumbnails")).filter((row) => row["key"] === "thumbnails/0.png")).toHaveLength(2);
});

/** DuckDB prints bytes that are no plain text as `\x89`. */
function bytesOfText(text: string): Buffer {
  const plain = text.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(plain, "latin1");
}
