// The command over ledgers that the real core filled.

import { beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../../../cli/status.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { FileRecord } from "../../../lambdas/core/records.ts";
import type { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { Harness, ingestionOf, override } from "../core/harness.ts";
import { CONFIG, type Machine, outputsFile, run } from "./terminal.ts";

const INGESTIONS = [ingestionOf("orders"), ingestionOf("clicks")];

/** orders: 12 committed files, one malformed, one sealed and not committed. clicks: nothing at all. */
async function filled(): Promise<Harness> {
  const harness = new Harness({ ingestions: INGESTIONS });
  const events = [];
  for (let n = 0; n < 12; n++) events.push(await harness.put(`orders/${String(n).padStart(2, "0")}`, `a${n}`, `b${n}`));
  events.push(await harness.put("orders/bad", "row", "BAD"));
  await harness.load(events);
  await harness.commit();
  harness.clock.advance(60_000);
  await harness.load([await harness.put("orders/waiting", "w")]);
  return harness;
}

let harness: Harness;
let machine: Machine;

beforeAll(async () => {
  harness = await filled();
  machine = {
    files: { "moraine.yaml": CONFIG, "cdk-outputs.json": outputsFile() },
    ledger: harness.ledger,
    queueDepth: async (url) => ({ waiting: url.length, inFlight: 2, delayed: 0 }),
  };
});

describe("moraine status", () => {
  test("shows what was committed, what waits and what failed", async () => {
    const { code, out } = await run(machine, "status", "--json");
    const { tables, ingestions, queues } = JSON.parse(out) as Status;
    expect(code).toBe(0);
    expect(tables[0]).toMatchObject({ table: "db.orders", commits: 1, files: 12, rows: 24 });
    expect(tables[0]?.lastCommit?.landedAtMs).toBe(harness.clock.now() - 60_000);
    expect(tables[0]?.batches).toEqual({ OPEN: 0, SEALED: 1, ABORTED: 0 });
    expect(tables[1]).toMatchObject({ table: "db.clicks", commits: 0, files: 0, rows: 0 });
    expect(ingestions[0]?.files.PROCESSING).toEqual({ count: 1, capped: false });
    expect(ingestions[0]?.files.FAILED).toEqual({ count: 1, capped: false });
    expect(ingestions[1]?.files.FAILED).toEqual({ count: 0, capped: false });
    expect(queues.map(({ queue }) => queue)).toEqual([
      "intake",
      "intake dead letters",
      "commit",
      "commit dead letters",
    ]);
    expect(queues[0]).toMatchObject({ waiting: "https://sqs/intake".length, inFlight: 2 });
  });

  test("lines its columns up for people", async () => {
    const { out } = await run(machine, "status");
    const lines = out.split("\n");
    const orders = lines.findIndex((line) => line.startsWith("db.orders"));
    const header = lines[orders - 1] ?? "";
    expect(lines[orders]?.slice(header.indexOf("LAST COMMIT"))).toMatch(/^2026-01-02 03:04:05Z\s+none/);
    expect(header.indexOf("OPEN COMMIT")).toBe(lines[orders]?.indexOf("none"));
    expect(out).toContain("intake dead letters");
  });

  test("names a commit that was begun and not finished", async () => {
    const broken = await filled();
    const { ledger } = broken;
    let writes = 0;
    const dying = override(ledger, {
      write: async (item, expected) => {
        if (writes++ > 0) throw new MoraineError("Fenced", "the function is gone");
        return ledger.write(item, expected);
      },
    });
    await expect(broken.commit("orders", { ledger: dying as MemoryLedger })).rejects.toThrow("gone");
    const { out } = await run({ ...machine, ledger }, "status", "--json");
    const { tables } = JSON.parse(out) as Status;
    expect(tables[0]?.openIntent).toMatchObject({ seq: 2, files: 1, records: 1 });
    expect((await run({ ...machine, ledger }, "status")).out).toMatch(/2 since .*, 1 batch/);
  });

  test("asks no queue when only the ledger is known", async () => {
    const { code, out } = await run(machine, "--ledger-table", "another", "status", "--json");
    expect(code).toBe(0);
    expect((JSON.parse(out) as Status).queues).toEqual([]);
  });
});

describe("moraine files", () => {
  const paths = (out: string) => (JSON.parse(out) as { files: FileRecord[] }).files.map((file) => file.key);

  test("puts the shards of the index together in order of path", async () => {
    const { out } = await run(machine, "files", "--json");
    const keys = paths(out);
    expect(keys).toHaveLength(14);
    expect(keys).toEqual(keys.toSorted());
  });

  test("filters by status, whatever the case it is written in", async () => {
    expect(paths((await run(machine, "files", "--json", "--status", "failed")).out)).toEqual(["orders/bad"]);
  });

  test("filters by the start of a path, with the bucket or without", async () => {
    const full = await run(machine, "files", "--json", "--prefix", "s3://landing/orders/0");
    expect(paths(full.out)).toHaveLength(10);
    expect((await run(machine, "files", "--json", "--prefix", "orders/0")).out).toBe(full.out);
  });

  test("takes a bucket by its name in moraine.yaml", async () => {
    const files = {
      "moraine.yaml": CONFIG.replace("bucket: landing", "bucket: arrivals"),
      "cdk-outputs.json": outputsFile({ Buckets: '{"arrivals":"landing"}' }),
    };
    const { out } = await run({ ...machine, files }, "files", "--json", "--prefix", "s3://arrivals/orders/b");
    expect(paths(out)).toEqual(["orders/bad"]);
  });

  test("warns when the stack was made of another configuration", async () => {
    const made = (ingestions: string) => ({
      ...machine.files,
      "cdk-outputs.json": outputsFile({ Ingestions: ingestions }),
    });
    const other = await run({ ...machine, files: made("orders, trail") }, "files");
    expect(other.err).toMatch(/has the ingestions orders, trail, and moraine.yaml has orders, clicks: give .*--config/);
    expect((await run({ ...machine, files: made("orders, clicks") }, "files")).err).toBe("");
  });

  test("says that there is more than it shows", async () => {
    const { out } = await run(machine, "files", "--limit", "5", "--json");
    expect(paths(out)).toEqual(["orders/00", "orders/01", "orders/02", "orders/03", "orders/04"]);
    expect(JSON.parse(out)).toMatchObject({ more: true });
    expect((await run(machine, "files", "--limit", "5")).out).toContain("raise --limit");
    expect((await run(machine, "files", "--limit", "14")).out).not.toContain("raise --limit");
  });

  test("an ingestion that is not configured is a usage error naming those that are", async () => {
    const { code, err } = await run(machine, "files", "--ingestion", "order");
    expect(code).toBe(2);
    expect(err).toContain("orders, clicks");
  });
});

describe("moraine file", () => {
  test("tells the whole story of a loaded file", async () => {
    const { code, out } = await run(machine, "file", "s3://landing/orders/03");
    expect(code).toBe(0);
    const head = await harness.file("orders/03");
    for (const fact of ["SUCCESS", "db.orders", head?.version.etag, head?.batch, head?.snapshotId, "rows"]) {
      expect(out).toContain(fact);
    }
    expect(out).toMatch(/commit +1\n/);
    expect(out).not.toContain("in the table now");
  });

  test("names place and message of what is wrong with a file", async () => {
    const { out } = await run(machine, "file", "s3://landing/orders/bad");
    expect(out).toContain("FAILED (MALFORMED)");
    expect(out).toMatch(/place +line 2\n/);
  });

  test("says that a file in a sealed batch waits for the commit", async () => {
    const { out } = await run(machine, "file", "s3://landing/orders/waiting");
    expect(out).toContain("sealed: waits for the next commit");
  });

  test("shows the rows of the earlier version that stay when a newer one fails", async () => {
    const replaced = await filled();
    const before = await replaced.file("orders/03");
    await replaced.load([await replaced.put("orders/03", "BAD")]);
    const { out } = await run({ ...machine, ledger: replaced.ledger }, "file", "s3://landing/orders/03");
    expect(out).toContain("FAILED (MALFORMED)");
    expect(out).toContain("in the table now");
    expect(out).toContain(before?.version.etag);
  });

  test("an unknown file is answered by exit code 1 and by the ingestion that would load it", async () => {
    const { code, out } = await run(machine, "file", "s3://landing/clicks/1");
    expect(code).toBe(1);
    expect(out).toContain("ingestion clicks would load it into db.clicks");
  });

  test("a path nobody asks for is answered by the reason of each ingestion", async () => {
    const { code, out } = await run(machine, "file", "s3://landing/orders/x.tmp");
    expect(code).toBe(1);
    expect(out).toContain("orders: its include and exclude globs leave the file out");
    expect(out).toContain("clicks: reads prefix clicks/");
    expect((await run(machine, "file", "s3://other/orders/x")).out).toContain("orders: reads bucket landing");
  });

  test("a file loaded by an ingestion that no longer routes it is still known", async () => {
    const narrowed = { ...machine.files, "moraine.yaml": CONFIG.replace("**/*.tmp", "**/03") };
    const { code, out } = await run({ ...machine, files: narrowed }, "file", "s3://landing/orders/03", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ routedTo: null, records: [{ status: "SUCCESS" }] });
  });

  test("what is no s3 path is a usage error", async () => {
    expect((await run(machine, "file", "orders/03")).code).toBe(2);
  });

  test("control characters of a key never reach the terminal", async () => {
    const evil = new Harness({ ingestions: INGESTIONS });
    const key = "orders/\u001b[2Jx";
    await evil.load([await evil.put(key, "BAD")]);
    const there = { ...machine, ledger: evil.ledger };
    for (const command of [["files"], ["file", `s3://landing/${key}`]]) {
      const { out } = await run(there, ...command);
      expect(out).toContain("orders/\\u001b[2Jx");
      expect(out).not.toContain("\u001b");
    }
  });
});

describe("exit codes", () => {
  test("a service that does not answer is 3, and its error says where", async () => {
    const { ledger } = harness;
    const down = override(ledger, {
      read: async () => {
        throw new MoraineError("Unavailable", "the service did not answer", { error: "ECONNREFUSED" });
      },
    });
    const { code, err } = await run({ ...machine, ledger: down }, "status");
    expect(code).toBe(3);
    expect(err).toContain("ECONNREFUSED");
    expect(err).toContain("is npm start running?");
  });

  test.each([
    [["nothing"]],
    [["file"]],
    [["files", "--limit", "0"]],
    [["files", "--status", "LOST"]],
    [["--bogus", "status"]],
  ])("%j is a usage error", async (argv) => {
    const { code, err } = await run(machine, ...argv);
    expect(code).toBe(2);
    expect(err).toContain("moraine --help");
  });

  test("help is no error", async () => {
    const { code, out } = await run(machine, "--help");
    expect(code).toBe(0);
    for (const command of ["status", "files", "file", "validate"]) expect(out).toContain(command);
  });
});

describe("moraine validate", () => {
  test("accepts a valid file and says what it describes", async () => {
    const { code, out } = await run(machine, "validate");
    expect(code).toBe(0);
    expect(out).toBe("moraine.yaml is valid: 2 ingestions into 2 tables\n");
  });

  test("prints every error of a wrong file, not the first", async () => {
    const wrong = CONFIG.replace("type: ndjson", "type: xls").replace("table: clicks", "tables: clicks");
    const there = { ...machine, files: { "other.yaml": wrong } };
    const { code, err } = await run(there, "validate", "other.yaml");
    expect(code).toBe(1);
    expect(err.trim().split("\n").length).toBeGreaterThanOrEqual(3);
    const { out } = await run(there, "--json", "validate", "other.yaml");
    expect((JSON.parse(out) as { errors: string[] }).errors.join("\n")).toBe(err.trim());
  });

  test("a configuration that does not exist fails every command with the remedy", async () => {
    const { code, err } = await run({ ...machine, files: {} }, "status");
    expect(code).toBe(1);
    expect(err).toContain("--config");
  });
});
