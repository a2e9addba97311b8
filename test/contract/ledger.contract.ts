// What every ledger must do: one condition on one item, the item as it stands when the condition fails, order, and no
// limits that show. Runs against the fake and against the DynamoDB adapter.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isKind } from "../../lambdas/core/errors.ts";
import type { Revision } from "../../lambdas/core/ids.ts";
import type { Attribute, Ledger, LedgerItem, LedgerKey } from "../../lambdas/core/ports.ts";
import { collect } from "./collect.ts";

export interface LedgerUnderTest {
  readonly ledger: Ledger;
  close(): Promise<void>;
}

const rev = (name: string) => name as Revision;

const EVERY_TYPE: Record<string, Attribute> = {
  text: "naïve 😀",
  empty: "",
  zero: 0,
  negative: -1.5,
  large: Number.MAX_SAFE_INTEGER,
  tiny: 1.5e-100,
  third: 1 / 3,
  exponent: 1e21,
  yes: true,
  no: false,
  nothing: null,
  bytes: Uint8Array.of(0, 1, 254, 255),
  noBytes: new Uint8Array(),
  list: [1, "two", null, [3], { four: 4 }, []],
  map: { inner: { deeper: [{ a: Uint8Array.of(7) }] }, empty: {} },
};

export function ledgerContract(subject: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`ledger: ${subject}`, () => {
    let ledger: Ledger;
    let under: LedgerUnderTest;
    let partitions = 0;
    const partition = () => `p${partitions++}`;
    const item = (key: LedgerKey, revision: string, more: Partial<LedgerItem> = {}): LedgerItem => ({
      key,
      revision: rev(revision),
      body: {},
      ...more,
    });
    const write = async (written: LedgerItem, expected: Revision | "absent" = "absent") => {
      expect(await ledger.write(written, expected)).toEqual({ kind: "written" });
    };

    beforeAll(async () => {
      under = await open();
      ledger = under.ledger;
    });
    afterAll(() => under?.close());

    test("an item of every type is read as it was written", async () => {
      const key = { partition: partition(), sort: "s" };
      const index = { partition: `${key.partition}i`, sort: "i" };
      const written = item(key, "r1", { body: EVERY_TYPE, expiresAt: 4_000_000_000, index });
      await write(written);
      expect(await ledger.read(key)).toEqual(written);
      expect(await ledger.read({ ...key, sort: "t" })).toBeUndefined();
    });

    test("a write replaces the whole item, index and expiry included", async () => {
      const key = { partition: partition(), sort: "s" };
      const index = { partition: `${key.partition}i`, sort: "i" };
      await write(item(key, "r1", { body: { old: 1 }, expiresAt: 4_000_000_000, index }));
      await write(item(key, "r2", { body: { new: 2 } }), rev("r1"));
      expect(await ledger.read(key)).toEqual(item(key, "r2", { body: { new: 2 } }));
      expect(await collect(ledger.listIndex(index.partition, ""))).toEqual([]);
    });

    test("a refused write changes nothing and says what stands", async () => {
      const key = { partition: partition(), sort: "s" };
      const standing = item(key, "r1", { body: { of: "first" } });
      await write(standing);
      const refused = { kind: "refused", current: standing };
      expect(await ledger.write(item(key, "r2"), "absent")).toEqual(refused);
      expect(await ledger.write(item(key, "r2"), rev("r0"))).toEqual(refused);
      expect(await ledger.read(key)).toEqual(standing);
    });

    test("a write that expects a revision of an item that is gone is refused", async () => {
      const key = { partition: partition(), sort: "s" };
      expect(await ledger.write(item(key, "r2"), rev("r1"))).toEqual({ kind: "refused", current: undefined });
      expect(await ledger.read(key)).toBeUndefined();
    });

    test("the same write sent twice is written once and succeeds twice", async () => {
      const key = { partition: partition(), sort: "s" };
      await write(item(key, "r1"));
      const second = item(key, "r2", { body: EVERY_TYPE });
      await write(second, rev("r1"));
      await write(second, rev("r1"));
      expect(await ledger.read(key)).toEqual(second);
    });

    test("another item under the same revision is not taken for the same write", async () => {
      const key = { partition: partition(), sort: "s" };
      const standing = item(key, "r1", { body: { by: "a" } });
      await write(standing);
      const outcome = await ledger.write(item(key, "r1", { body: { by: "b" } }), "absent");
      expect(outcome).toEqual({ kind: "refused", current: standing });
    });

    test.each(["absent", "r0"])(
      "of 20 writers who expect %s exactly one wins, and the others see it",
      async (expected) => {
        const key = { partition: partition(), sort: "s" };
        if (expected !== "absent") await write(item(key, expected));
        const items = Array.from({ length: 20 }, (_, writer) => item(key, `w${writer}`, { body: { writer } }));
        const outcomes = await Promise.all(items.map((one) => ledger.write(one, rev(expected))));
        const winners = items.filter((_, index) => outcomes[index]?.kind === "written");
        expect(winners).toHaveLength(1);
        expect(await ledger.read(key)).toEqual(winners[0]);
        const refused = outcomes.filter((outcome) => outcome.kind === "refused");
        expect(refused.map((outcome) => outcome.current)).toEqual(refused.map(() => winners[0]));
      },
    );

    test("only the revision it names is removed", async () => {
      const key = { partition: partition(), sort: "s" };
      const standing = item(key, "r1");
      await write(standing);
      expect(await ledger.remove(key, rev("r0"))).toEqual({ kind: "refused", current: standing });
      expect(await ledger.remove(key, rev("r1"))).toEqual({ kind: "written" });
      expect(await ledger.read(key)).toBeUndefined();
      expect(await ledger.remove(key, rev("r1"))).toEqual({ kind: "refused", current: undefined });
    });

    test("250 keys are read in the order asked, twice where asked twice, with gaps where there is nothing", async () => {
      const name = partition();
      const keys = Array.from({ length: 250 }, (_, index) => ({ partition: name, sort: `s${index}` }));
      await Promise.all(keys.filter((_, index) => index % 3 > 0).map((key) => write(item(key, `r-${key.sort}`))));
      const asked = [...keys.toReversed(), ...keys.slice(0, 20)];
      const found = await ledger.readMany(asked);
      const expected = asked.map(({ sort }) => (Number(sort.slice(1)) % 3 > 0 ? `r-${sort}` : undefined));
      expect(found.map((one) => one?.revision)).toEqual(expected);
      expect(found.every((one, index) => one === undefined || one.key.sort === asked[index]?.sort)).toBe(true);
      expect(await ledger.readMany([])).toEqual([]);
    });

    test("keys that look alike when joined are different keys", async () => {
      const keys = [
        { partition: "a#b", sort: "c" },
        { partition: "a", sort: "b#c" },
        { partition: "a b", sort: "c" },
        { partition: "a", sort: "b c" },
        { partition: 'a","b', sort: "c" },
      ];
      for (const [index, key] of keys.entries()) await write(item(key, `r${index}`));
      expect((await ledger.readMany(keys)).map((one) => one?.revision)).toEqual(keys.map((_, index) => `r${index}`));
    });

    test("a list is in UTF-8 order of the sort key, holds to its prefix and partition, and turns around", async () => {
      const name = partition();
      const sorts = ["A", "Z", "a", "a#1", "a#10", "a#2", "b", "é", "\uffee", "😀"];
      for (const sort of sorts.toReversed()) await write(item({ partition: name, sort }, "r"));
      await write(item({ partition: `${name}x`, sort: "a" }, "r"));
      const list = async (...args: Parameters<Ledger["list"]>) =>
        (await collect(ledger.list(...args))).map((one) => one.key.sort);
      expect(await list(name, "")).toEqual(sorts);
      expect(await list(name, "a#")).toEqual(["a#1", "a#10", "a#2"]);
      expect(await list(name, "a", { limit: 2 })).toEqual(["a", "a#1"]);
      expect(await list(name, "a", { reverse: true, limit: 1 })).toEqual(["a#2"]);
      expect(await list(name, "", { reverse: true })).toEqual(sorts.toReversed());
      expect(await list(name, "none")).toEqual([]);
    });

    test("a list longer than one page is whole, forwards, backwards and up to a limit", async () => {
      const name = partition();
      const sorts = Array.from({ length: 120 }, (_, index) => `s${String(index).padStart(4, "0")}`);
      const body = { ballast: "x".repeat(20_000) };
      await Promise.all(sorts.map((sort) => write(item({ partition: name, sort }, "r", { body }))));
      const list = async (...args: Parameters<Ledger["list"]>) =>
        (await collect(ledger.list(...args))).map((one) => one.key.sort);
      expect(await list(name, "s")).toEqual(sorts);
      expect(await list(name, "s", { reverse: true })).toEqual(sorts.toReversed());
      expect(await list(name, "s", { limit: 110 })).toEqual(sorts.slice(0, 110));
    });

    test("the people's index holds the items that name it, in its own order", async () => {
      const name = partition();
      const place = (sort: string) => ({ index: { partition: `${name}-status`, sort } });
      await write(item({ partition: `${name}1`, sort: "s" }, "r", place("b")));
      await write(item({ partition: `${name}2`, sort: "s" }, "r", place("a")));
      await write(item({ partition: `${name}3`, sort: "s" }, "r", place("bb")));
      await write(item({ partition: `${name}4`, sort: "s" }, "r"));
      const list = async (...args: Parameters<Ledger["listIndex"]>) =>
        (await collect(ledger.listIndex(...args))).map((one) => one.index?.sort);
      expect(await list(`${name}-status`, "")).toEqual(["a", "b", "bb"]);
      expect(await list(`${name}-status`, "b")).toEqual(["b", "bb"]);
      expect(await list(`${name}-status`, "", { limit: 1 })).toEqual(["a"]);
    });

    test.each(["partition", "sort", "revision", "expiresAt", "indexPartition", "indexSort"])(
      "a body cannot overwrite the ledger's own %s",
      async (name) => {
        const key = { partition: partition(), sort: "s" };
        await expect(ledger.write(item(key, "r", { body: { [name]: "x" } }), "absent")).rejects.toThrow(name);
        expect(await ledger.read(key)).toBeUndefined();
      },
    );

    test.each([
      ["undefined", undefined],
      ["not a number", Number.NaN],
      ["infinite", Number.POSITIVE_INFINITY],
      ["a date", new Date(0)],
      ["a map", new Map([["a", 1]])],
      ["bigint", 1n],
    ])("a value that is %s is refused, wherever it stands", async (_, value) => {
      const body = { fine: 1, nested: [{ value: value as Attribute }] };
      const key = { partition: partition(), sort: "s" };
      await expect(ledger.write(item(key, "r", { body }), "absent")).rejects.toThrow("nested[0].value");
      expect(await ledger.read(key)).toBeUndefined();
    });

    test("an item larger than the ledger holds is refused as invalid", async () => {
      const key = { partition: partition(), sort: "s" };
      const large = item(key, "r", { body: { ballast: "x".repeat(410 * 1024) } });
      expect(isKind(await ledger.write(large, "absent").catch((error: unknown) => error), "Invalid")).toBe(true);
    });

    test("an item changed in a caller's hands is not changed in the ledger", async () => {
      const key = { partition: partition(), sort: "s" };
      const body = { list: [1, 2], bytes: Uint8Array.of(1, 2) };
      await write(item(key, "r1", { body }));
      body.list.push(3);
      body.bytes.fill(9);
      const read = (await ledger.read(key))?.body as typeof body;
      expect(read).toEqual({ list: [1, 2], bytes: Uint8Array.of(1, 2) });
      read.bytes.fill(9);
      expect((await ledger.read(key))?.body["bytes"]).toEqual(Uint8Array.of(1, 2));
    });
  });
}
