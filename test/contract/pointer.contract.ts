// What every table pointer must do: a compare-and-swap that at most one of many wins, and that a table dropped and made
// again never passes for the old one. Runs against the fake and against the Glue adapter.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isKind } from "../../lambdas/core/errors.ts";
import type { TableMetadata } from "../../lambdas/core/iceberg/types.ts";
import type { ObjectUri, TableName } from "../../lambdas/core/ids.ts";
import type { TablePointer } from "../../lambdas/core/ports.ts";

export interface PointerUnderTest {
  readonly pointer: TablePointer;
  /** A database that exists. */
  readonly database: string;
  drop(name: TableName): Promise<void>;
  close(): Promise<void>;
}

export const METADATA: TableMetadata = {
  "format-version": 2,
  "table-uuid": "0193e5a0-0000-7000-8000-000000000001",
  location: "s3://warehouse/audit/events",
  "last-sequence-number": 0,
  "last-updated-ms": 1_767_323_045_000,
  "last-column-id": 2,
  schemas: [
    {
      type: "struct",
      "schema-id": 0,
      fields: [
        { id: 1, name: "id", required: true, type: "long" },
        { id: 2, name: "Name", required: false, type: "string", doc: "who" },
      ],
    },
  ],
  "current-schema-id": 0,
  "partition-specs": [{ "spec-id": 0, fields: [] }],
  "default-spec-id": 0,
  "last-partition-id": 999,
  properties: {},
  snapshots: [],
  "snapshot-log": [],
  "metadata-log": [],
  "sort-orders": [{ "order-id": 0, fields: [] }],
  "default-sort-order-id": 0,
};

/** `v(3)`: location of the third metadata file. */
export const v = (version: number | string) => `s3://warehouse/audit/events/metadata/${version}.json` as ObjectUri;

export function pointerContract(subject: string, open: () => Promise<PointerUnderTest>): void {
  describe(`table pointer: ${subject}`, () => {
    let under: PointerUnderTest;
    let pointer: TablePointer;
    let tables = 0;
    const fresh = (): TableName => ({ database: under.database, table: `t${tables++}` });
    const create = async (name: TableName, location = v(0)) => {
      const outcome = await pointer.create(name, location, METADATA);
      if (outcome.kind !== "created") throw new Error(outcome.kind);
      return outcome.token;
    };
    const next = (from: ObjectUri, to: ObjectUri) => ({
      metadataLocation: to,
      previousLocation: from,
      metadata: METADATA,
    });

    beforeAll(async () => {
      under = await open();
      pointer = under.pointer;
    });
    afterAll(() => under?.close());

    test("a table that was never made is undefined, and so is one in a database that was never made", async () => {
      expect(await pointer.read(fresh())).toBeUndefined();
      expect(await pointer.read({ database: "nowhere", table: "t" })).toBeUndefined();
    });

    test("a created table is read with a token that swaps it", async () => {
      const name = fresh();
      await create(name);
      const read = await pointer.read(name);
      expect(read?.metadataLocation).toBe(v(0));
      const swapped = await pointer.swap(name, read?.token ?? "", next(v(0), v(1)));
      expect(swapped.kind).toBe("swapped");
      expect((await pointer.read(name))?.metadataLocation).toBe(v(1));
    });

    test("the tokens of create and swap are good for the next swap", async () => {
      const name = fresh();
      let token = await create(name);
      for (let version = 1; version <= 3; version += 1) {
        const outcome = await pointer.swap(name, token, next(v(version - 1), v(version)));
        if (outcome.kind !== "swapped") throw new Error(outcome.kind);
        token = outcome.token;
      }
      expect((await pointer.read(name))?.metadataLocation).toBe(v(3));
    });

    test("a second creation finds the first", async () => {
      const name = fresh();
      await create(name);
      expect(await pointer.create(name, v("other"), METADATA)).toEqual({ kind: "exists" });
      expect((await pointer.read(name))?.metadataLocation).toBe(v(0));
    });

    test("of 10 racing creators exactly one creates", async () => {
      const name = fresh();
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, index) => pointer.create(name, v(`c${index}`), METADATA)),
      );
      const winners = outcomes.flatMap((outcome, index) => (outcome.kind === "created" ? [v(`c${index}`)] : []));
      expect(winners).toEqual([(await pointer.read(name))?.metadataLocation]);
    });

    test("of 20 racing swaps on one base exactly one wins", async () => {
      const name = fresh();
      const token = await create(name);
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) => pointer.swap(name, token, next(v(0), v(`s${index}`)))),
      );
      const winners = outcomes.flatMap((outcome, index) => (outcome.kind === "swapped" ? [v(`s${index}`)] : []));
      expect(winners).toEqual([(await pointer.read(name))?.metadataLocation]);
      expect(outcomes.filter((outcome) => outcome.kind === "conflict")).toHaveLength(19);
    });

    test("a token that has been used conflicts", async () => {
      const name = fresh();
      const token = await create(name);
      await pointer.swap(name, token, next(v(0), v(1)));
      expect(await pointer.swap(name, token, next(v(0), v(2)))).toEqual({ kind: "conflict" });
      expect(await pointer.swap(name, token, next(v(1), v(2)))).toEqual({ kind: "conflict" });
      expect((await pointer.read(name))?.metadataLocation).toBe(v(1));
    });

    test("a dropped table conflicts and is read as undefined", async () => {
      const name = fresh();
      const token = await create(name);
      await under.drop(name);
      expect(await pointer.swap(name, token, next(v(0), v(1)))).toEqual({ kind: "conflict" });
      expect(await pointer.read(name)).toBeUndefined();
    });

    test("a commit built on a dropped table never lands on its namesake", async () => {
      const name = fresh();
      const token = await create(name, v("first-life"));
      await under.drop(name);
      await create(name, v("second-life"));
      const outcome = await pointer.swap(name, token, next(v("first-life"), v("first-life-1")));
      expect(outcome).toEqual({ kind: "conflict" });
      expect((await pointer.read(name))?.metadataLocation).toBe(v("second-life"));
    });

    test("names differ by more than case", async () => {
      const { database, table } = fresh();
      await create({ database: database.toUpperCase(), table: table.toUpperCase() });
      expect((await pointer.read({ database, table }))?.metadataLocation).toBe(v(0));
      expect(await pointer.create({ database, table }, v(1), METADATA)).toEqual({ kind: "exists" });
    });

    test("a table in a database that does not exist is an error that names the database", async () => {
      const failure = await pointer
        .create({ database: "nowhere", table: "t" }, v(0), METADATA)
        .catch((e: unknown) => e);
      expect(isKind(failure, "Invalid")).toBe(true);
      expect((failure as Error).message).toMatch(/database does not exist.*nowhere/);
    });
  });
}
