// What types a new table beside the files that were claimed.

import { expect, test } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { currentSchema } from "../../../lambdas/core/iceberg/metadata.ts";
import { BUCKET, Harness, ingestionOf, override } from "../core/harness.ts";

async function columnsOf(harness: Harness): Promise<string[]> {
  const table = await harness.table();
  const fields = table === undefined ? [] : currentSchema(table.metadata).fields;
  return fields.map(({ name }) => name).filter((name) => !name.startsWith("_"));
}

test("a new table is typed by files that lie beside the first one", async () => {
  const harness = new Harness();
  const first = await harness.put("orders/2", "a@c");
  await harness.put("orders/1", "b@d");
  await harness.load([first]);
  expect(await columnsOf(harness)).toEqual(["c", "d"]);
});

test("a new table is not typed by files that another ingestion loads from a folder below", async () => {
  const source = { bucket: BUCKET, prefix: "orders/returns/", include: [], exclude: [] };
  const harness = new Harness({ ingestions: [ingestionOf("orders"), ingestionOf("returns", { source })] });
  await harness.put("orders/returns/1", "b@reason");
  await harness.load([await harness.put("orders/1", "a@c")]);
  expect(await columnsOf(harness)).toEqual(["c"]);
});

test("a file that may not be read keeps no neighbour from being loaded, and no other from typing the table", async () => {
  const harness = new Harness();
  const first = await harness.put("orders/3", "a@c");
  await harness.put("orders/1", "secret@x");
  await harness.put("orders/2", "b@d");
  const store = override(harness.store, {
    get: async (uri, options) => {
      if (uri.endsWith("/1")) throw new MoraineError("Invalid", "access was denied: allow kms:Decrypt to this role");
      return harness.store.get(uri, options);
    },
  });
  const { outcomes } = await harness.load([first], { ports: { store } });
  expect(outcomes).toMatchObject({ loaded: 1 });
  expect(await columnsOf(harness)).toEqual(["c", "d"]);
});
