// What crashed work left behind ends: its files come back, its objects go, and nothing that lives is touched.

import { describe, expect, test } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { type ObjectEvent, parseIntake } from "../../../lambdas/core/events.ts";
import type { Ledger } from "../../../lambdas/core/ports.ts";
import { LEFTOVERS_PREFIX, tablePartition } from "../../../lambdas/core/records.ts";
import { reachable } from "../../simulation/table-reader.ts";
import { Harness, nameOf, override, SETTINGS } from "./harness.ts";

const WAREHOUSE = "s3://warehouse/tables/db/orders/";

/** A loader that uploads everything and is gone before it seals, with its lease still running. */
async function dieBeforeSeal(harness: Harness, events: readonly ObjectEvent[]): Promise<void> {
  const gone = new Promise<never>(() => undefined);
  let reached: () => void = () => undefined;
  const sealing = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const ledger = override(harness.ledger, {
    write: async (...args: Parameters<Ledger["write"]>) => {
      if (args[0].body["state"] !== "SEALED") return harness.ledger.write(...args);
      reached();
      return gone;
    },
  });
  await Promise.race([harness.load(events, { ports: { ledger } }), sealing]);
}

function sentAgain(harness: Harness): ObjectEvent[] {
  return harness.queues.intake.splice(0).flatMap((body) => {
    const intake = parseIntake(body);
    return intake.kind === "events" ? intake.events : [];
  });
}

function objectsOf(harness: Harness): string[] {
  return [...harness.store.objects.keys()].filter((uri) => uri.startsWith(WAREHOUSE)).sort();
}

/** Every object of the table is reached by it, but for the table's first metadata files. */
async function orphansOf(harness: Harness): Promise<string[]> {
  const table = await harness.table();
  if (table === undefined) return objectsOf(harness);
  const reached = reachable(harness.store, table.metadata);
  reached.add(table.metadataLocation);
  for (const entry of table.metadata["metadata-log"]) reached.add(entry["metadata-file"]);
  return objectsOf(harness).filter((uri) => !reached.has(uri));
}

async function leftovers(harness: Harness): Promise<number> {
  let count = 0;
  for await (const _item of harness.ledger.list(tablePartition("db.orders" as never), LEFTOVERS_PREFIX)) count++;
  return count;
}

/** A table with one committed file. */
async function loadedTable(): Promise<Harness> {
  const harness = new Harness();
  await harness.load([await harness.put("orders/0", "row 0")]);
  await harness.commit();
  return harness;
}

describe("a loader that died", () => {
  test("keeps its files until its lease ends", async () => {
    const harness = await loadedTable();
    await dieBeforeSeal(harness, [await harness.put("orders/1", "row 1")]);
    harness.clock.advance(SETTINGS.leaseMs - 1);
    expect(await harness.sweep()).toMatchObject({ aborted: 0, released: 0 });
    expect((await harness.batches()).map(({ state }) => state)).toEqual(["OPEN"]);
  });

  test("loses its batch after its lease: its files are sent again, and load without another event of S3", async () => {
    const harness = await loadedTable();
    await dieBeforeSeal(harness, [await harness.put("orders/1", "row 1"), await harness.put("orders/2", "row 2")]);
    harness.clock.advance(SETTINGS.leaseMs);
    expect(await harness.sweep()).toMatchObject({ aborted: 1, released: 2 });
    const events = sentAgain(harness);
    expect(events.map(({ key, attempt }) => [key, attempt])).toEqual([
      ["orders/1", 2],
      ["orders/2", 2],
    ]);
    await harness.load(events);
    await harness.commit();
    expect(await harness.rows()).toEqual(["row 0", "row 1", "row 2"]);
  });

  test("is sent for once: the next sweep sends nothing", async () => {
    const harness = await loadedTable();
    await dieBeforeSeal(harness, [await harness.put("orders/1", "row 1")]);
    harness.clock.advance(SETTINGS.leaseMs);
    await harness.sweep();
    sentAgain(harness);
    expect(await harness.sweep()).toMatchObject({ released: 0 });
    expect(sentAgain(harness)).toEqual([]);
  });

  test("before it claimed a file: the file is sent again too, for its event may be in nobody's hands", async () => {
    const harness = await loadedTable();
    const event = await harness.put("orders/1", "row 1");
    const gone = new Promise<never>(() => undefined);
    const claims = new Promise<void>((resolve) => {
      const ledger = override(harness.ledger, {
        write: async (...args: Parameters<Ledger["write"]>) => {
          if (args[0].body["kind"] !== "file") return harness.ledger.write(...args);
          resolve();
          return gone;
        },
      });
      harness.load([event], { ports: { ledger } }).catch(() => undefined);
    });
    await claims;
    harness.clock.advance(SETTINGS.leaseMs);
    await harness.sweep();
    expect(sentAgain(harness).map(({ key }) => key)).toEqual(["orders/1"]);
  });

  test("leaves files alone that somebody else took up or decided meanwhile", async () => {
    const harness = await loadedTable();
    const events = [
      await harness.put("orders/1", "row 1"),
      await harness.put("orders/2", "BAD"),
      await harness.put("orders/3", "row 3"),
    ];
    await dieBeforeSeal(harness, events);
    harness.clock.advance(SETTINGS.leaseMs);
    await harness.load(events.slice(0, 1));
    await harness.sweep();
    expect(sentAgain(harness).map(({ key }) => key)).toEqual(["orders/3"]);
  });
});

describe("what an aborted batch uploaded", () => {
  async function aborted(): Promise<Harness> {
    const harness = await loadedTable();
    await dieBeforeSeal(harness, [await harness.put("orders/1", "row 1")]);
    harness.clock.advance(SETTINGS.leaseMs);
    await harness.sweep();
    return harness;
  }

  test("stays while its function may still write there: a zombie's upload must not come after the cleaning", async () => {
    const harness = await aborted();
    const [batch] = await harness.batches();
    const before = objectsOf(harness).filter((uri) => uri.includes(`/${batch?.batch}/`));
    expect(before.length).toBeGreaterThan(1);
    harness.clock.advance(SETTINGS.functionLifetimeMs - 1);
    await harness.sweep();
    expect(objectsOf(harness)).toEqual(expect.arrayContaining(before));
    expect(await harness.batches()).toHaveLength(1);
  });

  test("goes after that, all of it and nothing else, and then its item", async () => {
    const harness = await aborted();
    const [batch] = await harness.batches();
    const others = objectsOf(harness).filter((uri) => !uri.includes(`/${batch?.batch}/`));
    harness.clock.advance(SETTINGS.functionLifetimeMs);
    expect((await harness.sweep()).removed).toBeGreaterThan(1);
    expect(objectsOf(harness)).toEqual(others);
    expect(await harness.batches()).toEqual([]);
    expect(await harness.rows()).toEqual(["row 0"]);
  });

  test("is found by a later sweep when the store did not answer: the item goes last", async () => {
    const harness = await aborted();
    harness.clock.advance(SETTINGS.functionLifetimeMs);
    const store = override(harness.store, {
      remove: async () => {
        throw new MoraineError("Unavailable", "throttled");
      },
    });
    await expect(harness.sweep("orders", { store })).rejects.toMatchObject({ kind: "Unavailable" });
    expect(await harness.batches()).toHaveLength(1);
    await harness.sweep();
    expect(await orphansOf(harness)).toEqual([]);
  });
});

describe("work that waits for a committer", () => {
  test("is hinted at: a lost hint costs time only", async () => {
    const harness = await loadedTable();
    await harness.load([await harness.put("orders/1", "row 1")]);
    harness.queues.hints.splice(0);
    expect(await harness.sweep()).toMatchObject({ hinted: true });
    expect(harness.queues.hints).toEqual([nameOf("orders")]);
  });

  test("an open intent is hinted at even when all its batches are settled", async () => {
    const harness = await loadedTable();
    await harness.load([await harness.put("orders/1", "row 1")]);
    const ledger = override(harness.ledger, {
      write: async (...args: Parameters<Ledger["write"]>) => {
        if (args[0].body["kind"] === "commit") throw new MoraineError("Fenced", "the function is gone");
        return harness.ledger.write(...args);
      },
    });
    await expect(harness.commit("orders", { ledger })).rejects.toThrow("gone");
    expect(await harness.batches()).toEqual([]);
    expect(await harness.sweep()).toMatchObject({ hinted: true });
  });

  test("a table at rest is not hinted at, and idle sweeps write nothing", async () => {
    const harness = await loadedTable();
    harness.ledger.calls.clear();
    expect(await harness.sweep()).toMatchObject({ aborted: 0, released: 0, removed: 0, hinted: false, more: false });
    expect(harness.ledger.calls.get("write")).toBeUndefined();
  });

  test("a sealed batch is never aborted, however old", async () => {
    const harness = await loadedTable();
    await harness.load([await harness.put("orders/1", "row 1")]);
    harness.clock.advance(SETTINGS.leaseMs * 1000);
    await harness.sweep();
    await harness.commit();
    expect(await harness.rows()).toEqual(["row 0", "row 1"]);
  });
});

describe("what attempts at a commit left behind", () => {
  test("of attempts that did not land goes; what the landed one wrote stays", async () => {
    const harness = await loadedTable();
    await harness.load([await harness.put("orders/1", "row 1")]);
    let lost = 0;
    const pointer = override(harness.pointer, {
      swap: async (...args) => {
        if (lost++ < 2) throw new MoraineError("UnknownOutcome", "connection lost");
        return harness.pointer.swap(...args);
      },
    });
    await harness.commit("orders", { pointer });
    const orphans = await orphansOf(harness);
    expect(orphans.length).toBeGreaterThan(2);
    harness.clock.advance(SETTINGS.functionLifetimeMs - 1);
    await harness.sweep();
    expect(await orphansOf(harness)).toEqual(orphans);
    harness.clock.advance(1);
    await harness.sweep();
    expect(await orphansOf(harness)).toEqual([]);
    expect(await harness.rows()).toEqual(["row 0", "row 1"]);
  });

  test("nothing live is ever removed, and nothing dead stays, over many commits, merges and expiries", async () => {
    const harness = new Harness({ settings: { manifestFanIn: 4, snapshotsKeepLast: 3, snapshotAgeMaxMs: 600_000 } });
    const rows: string[] = [];
    for (let n = 0; n < 60; n++) {
      const key = `orders/${n % 25}`;
      await harness.load([await harness.put(key, `row ${n}`)]);
      await harness.commit();
      rows.push(`row ${n}`);
      if (n >= 25) rows.splice(rows.indexOf(`row ${n - 25}`), 1);
      harness.clock.advance(120_000);
      await harness.sweep();
      expect(await harness.rows()).toEqual(rows.toSorted());
    }
    harness.clock.advance(SETTINGS.functionLifetimeMs);
    await harness.sweep();
    const metadata = (await orphansOf(harness)).filter((uri) => uri.includes("/metadata/"));
    expect(metadata.filter((uri) => !/\/metadata\/\d{5}-/.test(uri))).toEqual([]);
    // The folders of a commit are forgotten when nothing is left in them; those that live are few.
    expect(await leftovers(harness)).toBeLessThan(40);
  });

  test("a table that others change while it is swept is left to the next sweep", async () => {
    const harness = await loadedTable();
    harness.clock.advance(SETTINGS.functionLifetimeMs);
    const before = objectsOf(harness);
    const store = override(harness.store, {
      get: async (uri, options) => {
        return uri.includes("/snap-") ? { kind: "absent" as const } : harness.store.get(uri, options);
      },
    });
    expect(await harness.sweep("orders", { store })).toMatchObject({ removed: 0 });
    expect(objectsOf(harness)).toEqual(before);
  });
});
