import { describe, expect, test } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { Revision } from "../../../lambdas/core/ids.ts";
import { removeItem, writeItem } from "../../../lambdas/core/ledger-writes.ts";
import type { LedgerItem } from "../../../lambdas/core/ports.ts";
import { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { override } from "./harness.ts";

const KEY = { partition: "p", sort: "s" };

function item(revision: string, value = 1): LedgerItem {
  return { key: KEY, revision: revision as Revision, body: { value } };
}

/** The first `count` answers of writes and removals get lost after their effect. */
function losing(ledger: MemoryLedger, count: number): MemoryLedger {
  let left = count;
  const lose = () => {
    if (left-- > 0) throw new MoraineError("UnknownOutcome", "response lost");
  };
  return override(ledger, {
    write: async (...args) => {
      const outcome = await ledger.write(...args);
      lose();
      return outcome;
    },
    remove: async (...args) => {
      const outcome = await ledger.remove(...args);
      lose();
      return outcome;
    },
  });
}

describe("a conditional write", () => {
  test("whose response was lost counts as written, once", async () => {
    const ledger = new MemoryLedger();
    expect(await writeItem(losing(ledger, 1), item("a"), "absent")).toEqual({ kind: "written" });
    expect((await ledger.read(KEY))?.revision).toBe("a");
  });

  test("with our revision counts as written also when its content differs: an older attempt of ours is what stands", async () => {
    const ledger = new MemoryLedger();
    await ledger.write(item("a", 1), "absent");
    expect(await writeItem(ledger, item("a", 2), "absent")).toEqual({ kind: "written" });
    expect((await ledger.read(KEY))?.body["value"]).toBe(1);
  });

  test("that lost against somebody else gives what stands there", async () => {
    const ledger = new MemoryLedger();
    await ledger.write(item("theirs"), "absent");
    const outcome = await writeItem(ledger, item("ours"), "absent");
    expect(outcome).toMatchObject({ kind: "refused", current: { revision: "theirs" } });
  });

  test("lost its response and was overwritten meanwhile: refused, never written over the newer state", async () => {
    const ledger = new MemoryLedger();
    let first = true;
    const overtaken = override(ledger, {
      write: async (one: LedgerItem, expected: Revision | "absent") => {
        const outcome = await ledger.write(one, expected);
        if (!first) return outcome;
        first = false;
        await ledger.write(item("later"), one.revision);
        throw new MoraineError("UnknownOutcome", "response lost");
      },
    });
    expect(await writeItem(overtaken, item("ours"), "absent")).toMatchObject({ current: { revision: "later" } });
    expect((await ledger.read(KEY))?.revision).toBe("later");
  });

  test("gives up on a ledger that stays away, and says so", async () => {
    const away = losing(new MemoryLedger(), 99);
    await expect(writeItem(away, item("a"), "absent")).rejects.toMatchObject({ kind: "UnknownOutcome" });
  });

  test("is not repeated for an error that repeating cannot mend", async () => {
    const ledger = new MemoryLedger();
    let calls = 0;
    const denied = override(ledger, {
      write: async () => {
        calls++;
        throw new MoraineError("Invalid", "denied");
      },
    });
    await expect(writeItem(denied, item("a"), "absent")).rejects.toMatchObject({ kind: "Invalid" });
    expect(calls).toBe(1);
  });
});

describe("a conditional removal", () => {
  test("whose response was lost counts as done", async () => {
    const ledger = new MemoryLedger();
    await ledger.write(item("a"), "absent");
    expect(await removeItem(losing(ledger, 1), KEY, "a" as Revision)).toEqual({ kind: "written" });
    expect(await ledger.read(KEY)).toBeUndefined();
  });

  test("of an item that somebody changed is refused, and the item stays", async () => {
    const ledger = new MemoryLedger();
    await ledger.write(item("b"), "absent");
    expect(await removeItem(ledger, KEY, "a" as Revision)).toMatchObject({ kind: "refused" });
    expect((await ledger.read(KEY))?.revision).toBe("b");
  });
});
