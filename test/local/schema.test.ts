// A thousand files whose schema grows on the way, and ten that do not fit, on the app that would be deployed: nothing pauses, the ten are
// held under one fingerprint with one alert, and one command of the operator's lets them in.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProgram } from "../../cli/program.ts";
import { systemTerminal } from "../../cli/terminal.ts";
import { mapLimit } from "../../lambdas/core/concurrency.ts";
import { objectUri } from "../../lambdas/core/ids.ts";
import { exportRows } from "../../local/rows.ts";
import { synthesizeApp, World } from "./support/world.ts";

const YAML = `
commit: { interval: 400s }
ingestions:
  - { id: orders, source: { prefix: orders/ }, format: { type: csv }, target: { database: test, table: orders } }
  - id: lines
    source: { prefix: lines/ }
    format: { type: ndjson }
    target: { database: test, table: lines }
    onBadRow: quarantine
    badRowShareMax: 0.5
`;

let world: World;
let folder: string;

beforeAll(async () => {
  // Batches of hundreds of files: their leases and messages must outlast them on a busy machine, too.
  world = await World.start(await synthesizeApp(YAML), {
    timeScale: 0.015,
    limits: { leaseMs: 30_000, functionLifetimeMs: 40_000 },
  });
  folder = mkdtempSync(join(tmpdir(), "moraine-schema-"));
  writeFileSync(join(folder, "moraine.yaml"), YAML);
  const outputs = { Moraine: { ...world.stack.outputs, EndpointUrl: world.stack.endpoint } };
  writeFileSync(join(folder, "outputs.json"), JSON.stringify(outputs));
});

afterAll(async () => {
  await world.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function moraine(...argv: string[]): Promise<string> {
  let out = "";
  const write = (text: string) => {
    out += text;
  };
  const terminal = { ...systemTerminal, write, writeError: systemTerminal.write };
  const found = ["--config", join(folder, "moraine.yaml"), "--outputs", join(folder, "outputs.json")];
  expect(await runProgram([...found, ...argv], terminal)).toBe(0);
  return out;
}

async function put(key: string, ...lines: string[]): Promise<void> {
  await world.ports.store.put(objectUri(world.bucket, key), Buffer.from(`${lines.join("\n")}\n`));
}

async function rowsOf(table: string): Promise<Record<string, unknown>[]> {
  const loaded = await world.ports.catalog.load({ database: "test", table });
  if (loaded === undefined) return [];
  const file = join(folder, `${table}.ndjson`);
  await exportRows(world.ports.store, loaded.metadata, file);
  return readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("a schema that changes while files arrive", () => {
  const key = (n: number) => `orders/${String(n).padStart(4, "0")}.csv`;

  test("the first thousand land without a pause, ten that do not fit are held, and a merge lets them in", async () => {
    const numbers = Array.from({ length: 1000 }, (_, n) => n + 1);
    await mapLimit(numbers, 16, (n) =>
      n <= 500 ? put(key(n), "id,amount", `${n},${n * 2}`) : put(key(n), "id,amount,note", `${n},${n * 2},new`),
    );
    for (let n = 1001; n <= 1010; n++) await put(key(n), "id,amount", `${n},about ${n}`, `${n},${n}`);
    await world.settle();

    const before = await rowsOf("orders");
    expect(before).toHaveLength(1000);
    expect(before.filter(({ id, note }) => (Number(id) <= 500 ? note === null : note === "new"))).toHaveLength(1000);

    await world.stack.trigger("SweepSchedule");
    await world.stack.trigger("SweepSchedule");
    const alerts = world.stack.published();
    expect(alerts).toHaveLength(1);
    expect(alerts[0]?.message).toContain("amount: long, the file has string");
    expect(alerts[0]?.message).toContain("Held so far: 10 files, 20 rows");
    expect(alerts[0]?.message).toContain('"about 10');

    const [change, ...others] = JSON.parse(await moraine("--json", "schema", "list"));
    expect(others).toEqual([]);
    expect(change).toMatchObject({ status: "OPEN", held: { files: 10, rows: 20 } });
    const odd = numbers.slice(0, 10).map((n) => n + 1000);
    for (const file of await mapLimit(numbers, 16, (n) => world.file(key(n))))
      expect(file).toMatchObject({ status: "SUCCESS", loaded: { records: 1 } });
    for (const file of await mapLimit(odd, 16, (n) => world.file(key(n))))
      expect(file).toMatchObject({ status: "SKIPPED", reason: "SCHEMA_HELD", fingerprint: change.fingerprint });
    const path = `s3://${world.bucket}/${key(1001)}`;
    expect(await moraine("file", path)).toContain(`SKIPPED (SCHEMA_HELD)`);
    expect(await moraine("schema", "show", change.fingerprint)).toContain("such as");
    expect(await moraine("schema", "merge", change.fingerprint, "--why", "texts are fine")).toContain(
      "10 files released",
    );
    await world.settle();

    const after = await rowsOf("orders");
    expect(after).toHaveLength(1020);
    const merged = after.filter(({ id }) => Number(id) > 1000);
    expect(merged.filter(({ amount }) => amount === null).map((row) => row["amount_string"])).toEqual(
      expect.arrayContaining(["about 1001", "about 1010"]),
    );
    expect(merged.filter(({ amount }) => amount !== null)).toHaveLength(10);
    for (const file of await mapLimit(odd, 16, (n) => world.file(key(n))))
      expect(file).toMatchObject({ status: "SUCCESS", loaded: { records: 2 } });
    expect(await moraine("file", path)).toContain("SUCCESS");
    expect(await moraine("schema", "history", "orders")).toMatch(/note string added[\s\S]*merge by .*texts are fine/);

    // And the next one of the kind is let in by itself.
    await put(key(1011), "id,amount", "1011,none");
    await world.settle();
    expect(await rowsOf("orders")).toHaveLength(1021);
  });
});

describe("rows that are none", () => {
  test("are in the quarantine table, and their file's others in its own", async () => {
    await put("lines/1.json", '{"id": 1}', "{broken", '{"id": 2}');
    await put("lines/2.json", '{"id": 3}', '{"id": 4}');
    await world.settle();
    await world.settle();
    expect((await rowsOf("lines")).map(({ id }) => id)).toEqual(expect.arrayContaining([1, 2, 3, 4]));
    expect(await rowsOf("lines_quarantine")).toMatchObject([
      { file: `s3://${world.bucket}/lines/1.json`, line: 2, text: "{broken" },
    ]);
    expect(await world.file("lines/1.json")).toMatchObject({ loaded: { records: 2, quarantined: 1 } });
  });
});
