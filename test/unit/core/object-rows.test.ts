// Objects that are registered rather than read take the one path, and cost what is said: no GET.

import { expect, test } from "vitest";
import type { FormatOptions } from "../../../lambdas/core/config.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { ObjectEvent } from "../../../lambdas/core/events.ts";
import { objectUri } from "../../../lambdas/core/ids.ts";
import type { Source } from "../../../lambdas/core/ports.ts";
import { RowConverter } from "../../simulation/row-converter.ts";
import { BUCKET, Harness, ingestionOf, override } from "./harness.ts";

const FILES = 2000;
const METADATA: FormatOptions = { type: "metadata" };

function harnessOf(format: FormatOptions): Harness {
  return new Harness({
    ingestions: [ingestionOf("orders", { format, batch: { filesMax: 10_000, bytesMax: 1_000_000 } })],
  });
}

const landingGets = (harness: Harness, reads: string[]) =>
  override(harness.store, {
    get: async (uri, options) => {
      if (uri.startsWith(`s3://${BUCKET}/`)) reads.push(uri);
      return harness.store.get(uri, options);
    },
  });

test("2,000 objects are registered with two ledger writes each and no GET, whatever their size", async () => {
  const harness = harnessOf(METADATA);
  const events: ObjectEvent[] = [];
  for (let n = 0; n < FILES; n++) {
    const event = await harness.put(`orders/${n}`, "x");
    events.push({ ...event, version: { ...event.version, sizeBytes: 5_000_000_000_000 } });
  }
  const reads: string[] = [];
  harness.ledger.calls.clear();
  const report = await harness.load(events, { ports: { store: landingGets(harness, reads) } });
  expect(report).toMatchObject({ records: FILES, bytesRead: 0, retry: [], errors: [] });
  expect(reads).toEqual([]);
  const batches = await harness.batches();
  // Bytes that are not read fill no batch: only the size of the batch's own item cuts them.
  expect(batches.length).toBeLessThanOrEqual(2);
  await harness.commit();
  expect(harness.ledger.calls.get("write")).toBeLessThanOrEqual(2 * FILES + 4 * batches.length + 6);
  expect(await harness.rows()).toHaveLength(FILES);
});

test("the row is of the version that the event named, also when the object is gone or changed since", async () => {
  const harness = harnessOf(METADATA);
  const gone = await harness.put("orders/1", "a");
  const changed = await harness.put("orders/2", "a");
  await harness.store.remove([objectUri(BUCKET, "orders/1")]);
  await harness.put("orders/2", "b");
  await harness.load([gone, changed]);
  await harness.commit();
  expect(await harness.rows()).toEqual(["s3://landing/orders/1", "s3://landing/orders/2"]);
  expect((await harness.file("orders/2"))?.version).toEqual(changed.version);
});

test("an older version that only a listing names never replaces the newer row", async () => {
  const harness = harnessOf(METADATA);
  const { version, ...object } = await harness.put("orders/1", "a");
  const newer = await harness.put("orders/1", "b");
  const { sequencer: _, ...listed } = version;
  await harness.load([newer]);
  await harness.commit();
  expect((await harness.load([{ ...object, version: listed }])).outcomes).toMatchObject({ known: 1, loaded: 0 });
  expect(await harness.file("orders/1")).toMatchObject({ status: "SUCCESS", version: { etag: newer.version.etag } });
  // And the newer one, listed after the older one was registered, is taken: one GET told both times.
  const other = harnessOf(METADATA);
  const first = await other.put("orders/1", "a");
  const second = await other.put("orders/1", "b");
  const { sequencer: __, ...later } = second.version;
  await other.load([first]);
  await other.commit();
  expect((await other.load([{ ...second, version: later }])).outcomes).toMatchObject({ loaded: 1 });
});

test.each([
  ["replace", 1],
  ["append", 2],
  ["ignore", 1],
] as const)("an object put again under %s is %i row(s)", async (onOverwrite, count) => {
  const harness = new Harness({ ingestions: [ingestionOf("orders", { format: METADATA, onOverwrite })] });
  for (const text of ["a", "b"]) {
    await harness.load([await harness.put("orders/1", text)]);
    await harness.commit();
    harness.clock.advance(1000);
  }
  expect(await harness.rows()).toHaveLength(count);
});

test("of format binary only objects up to the bound are read, all with what their event said", async () => {
  const harness = harnessOf({ type: "binary", contentBytesMax: 4 });
  const sources: Source[] = [];
  const converter = new RowConverter();
  const watched = {
    start: async (job: Parameters<RowConverter["start"]>[0]) => {
      const conversion = await converter.start(job);
      return override(conversion, {
        add: async (source, body) => {
          sources.push(source);
          return conversion.add(source, body);
        },
      });
    },
  };
  const small = await harness.put("orders/1", "four");
  const large = await harness.put("orders/2", "large");
  const versioned = { ...large, version: { ...large.version, versionId: "v7" } };
  const reads: string[] = [];
  const store = landingGets(harness, reads);
  await harness.load([small, versioned], { ports: { store, converter: watched } });
  expect(reads).toEqual(["s3://landing/orders/1"]);
  expect(sources.sort((a, b) => a.index - b.index)).toMatchObject([
    { uri: "s3://landing/orders/1", etag: small.version.etag, sizeBytes: 4 },
    {
      uri: "s3://landing/orders/2",
      etag: large.version.etag,
      sizeBytes: 5,
      versionId: "v7",
      lastModifiedMs: large.version.timeMs,
    },
  ]);
});

test("a store that is away fails no object that is not read", async () => {
  const harness = harnessOf(METADATA);
  const store = override(harness.store, {
    get: async (uri, options) => {
      if (uri.startsWith(`s3://${BUCKET}/`)) throw new MoraineError("Unavailable", "throttled");
      return harness.store.get(uri, options);
    },
  });
  const report = await harness.load([await harness.put("orders/1", "a")], { ports: { store } });
  expect(report).toMatchObject({ retry: [], outcomes: { loaded: 1 } });
});
