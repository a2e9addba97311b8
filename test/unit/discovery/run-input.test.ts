import { describe, expect, test } from "vitest";
import type { Ingestion } from "../../../lambdas/core/config.ts";
import { readRunInput } from "../../../lambdas/core/discovery/run-input.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { RunHarness } from "./run-harness.ts";

const read = (input: unknown, discovery: Partial<Ingestion["discovery"]> = {}) =>
  readRunInput(new RunHarness(discovery).context().config, input);

function complaintsOf(input: unknown, discovery: Partial<Ingestion["discovery"]> = {}): string {
  try {
    read(input, discovery);
  } catch (error) {
    expect(error).toBeInstanceOf(MoraineError);
    expect(error).toMatchObject({ kind: "Invalid" });
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

describe("the input of a run", () => {
  test("needs an ingestion and nothing else", () => {
    expect(read({ ingestion: "orders" })).toEqual({
      fresh: false,
      input: {
        ingestion: "orders",
        listing: { strategy: "full" },
        scope: {},
        dryRun: false,
        checkAll: false,
        trigger: "console",
        concurrency: 3,
      },
    });
  });

  test("narrows the listing, with times in milliseconds and both dates of a window included", () => {
    const input = {
      ingestion: "orders",
      strategy: "partitioned",
      pattern: "%Y/%m/%d",
      dateFrom: "2026-01-30",
      dateTo: "2026-01-31",
      prefix: "orders/eu/",
      include: ["**/*.csv"],
      exclude: ["**/_tmp/**"],
      modifiedFrom: "2026-01-01",
      modifiedBefore: "2026-02-01T12:00:00+02:00",
      sizeBytesMin: 1,
      sizeBytesMax: 10,
      dryRun: true,
      checkAll: true,
      fresh: true,
      trigger: "command",
      concurrency: 64,
    };
    expect(read(input)).toEqual({
      fresh: true,
      input: {
        ingestion: "orders",
        listing: { strategy: "partitioned", pattern: "%Y/%m/%d", lookbackMs: 7 * 86_400_000 },
        window: { fromMs: Date.UTC(2026, 0, 30), toMs: Date.UTC(2026, 1, 1) },
        scope: {
          prefix: "orders/eu/",
          include: ["**/*.csv"],
          exclude: ["**/_tmp/**"],
          modifiedFromMs: Date.UTC(2026, 0, 1),
          modifiedBeforeMs: Date.UTC(2026, 1, 1, 10),
          sizeBytesMin: 1,
          sizeBytesMax: 10,
        },
        dryRun: true,
        checkAll: true,
        trigger: "command",
        concurrency: 64,
      },
    });
  });

  test("takes a strategy's options from wherever the ingestion names them, and its own first", () => {
    const listing = { strategy: "partitioned", pattern: "%Y/%m", lookbackMs: 5 } as const;
    const discovery = { schedules: [{ listing, everySeconds: 60 }] };
    expect(read({ ingestion: "orders", strategy: "partitioned" }, discovery).input.listing).toEqual(listing);
    const own = { ingestion: "orders", strategy: "partitioned", lookback: "2d" };
    expect(read(own, discovery).input.listing).toEqual({ ...listing, lookbackMs: 2 * 86_400_000 });
    expect(read({ ingestion: "orders", strategy: "incremental_lexical", lookback: 7 }).input.listing).toEqual({
      strategy: "incremental_lexical",
      lookbackKeys: 7,
    });
    expect(read({ ingestion: "orders", strategy: "incremental_time", overlap: "5m" }).input.listing).toEqual({
      strategy: "incremental_time",
      overlapMs: 300_000,
    });
  });

  test("of an ingestion fed by events lists by its own listing", () => {
    expect(read({ ingestion: "orders" }, { events: true }).input.listing).toEqual({ strategy: "full" });
  });

  describe("of an ingestion that lists a part of its keys", () => {
    const lexical = { listing: { strategy: "incremental_lexical", lookbackKeys: 4 } } as const;
    const pattern = "%Y/%m/%d";
    const dated = { listing: { strategy: "partitioned", pattern, lookbackMs: 86_400_000 } } as const;
    const strategyOf = (fields: object, discovery: Partial<Ingestion["discovery"]>) =>
      read({ ingestion: "orders", ...fields }, discovery).input.listing.strategy;

    test.each([
      { prefix: "orders/a" },
      { include: ["*.csv"] },
      { exclude: ["*.tmp"] },
      { modifiedFrom: "2026-01-01" },
      { modifiedBefore: "2026-01-01" },
      { sizeBytesMin: 1 },
      { sizeBytesMax: 1 },
    ])("lists all of what %j names", (fields) => {
      expect([strategyOf(fields, lexical), strategyOf(fields, dated)]).toEqual(["full", "full"]);
    });

    test("lists its own way when nothing, or something of that way, is named", () => {
      expect(strategyOf({ prefix: "orders/", include: [] }, lexical)).toBe("incremental_lexical");
      expect(strategyOf({ strategy: "incremental_lexical", modifiedFrom: "2026-01-01" }, lexical)).toBe(
        "incremental_lexical",
      );
      expect(strategyOf({ prefix: "orders/a", dateFrom: "2026-01-01", dateTo: "2026-01-02" }, dated)).toBe(
        "partitioned",
      );
    });

    test.each([{ strategy: "incremental_lexical" }, { lookback: 9 }])(
      "finds nothing below a prefix by its cursor",
      (way) => {
        const input = { ingestion: "orders", prefix: "orders/a", ...way };
        expect(complaintsOf(input, lexical)).toBe(
          "the run's input cannot be used: prefix is not for incremental_lexical, which lists what is behind its cursor; name full",
        );
      },
    );
  });

  test("bounds a look-back and dates by their partitions, as the configuration does", () => {
    const hourly = { ingestion: "orders", strategy: "partitioned", pattern: "%Y/%m/%d/%H" };
    expect(complaintsOf({ ...hourly, lookback: "3000d" })).toContain("lookback is 72000 partitions, each a request");
    expect(complaintsOf({ ...hourly, lookback: "999999999d" })).toContain("at most 3660d");
    const listing = { strategy: "partitioned", pattern: "%Y/%m", lookbackMs: 3000 * 86_400_000 } as const;
    expect(complaintsOf(hourly, { listing })).toContain("lookback is 72000 partitions");
    expect(read({ ...hourly, dateFrom: "2020-01-01", dateTo: "2020-01-02" }, { listing }).input.window).toBeDefined();
    expect(() => read({ ...hourly, dateFrom: "2020-01-01", dateTo: "9999-01-01" }, { listing })).toThrow(
      /dateTo is 69942504 partitions, each a request; shorten it to 10000/,
    );
  });

  test("reads no inventory but configured ones, for it has the right to no other", () => {
    const inventory = (location: string, ageMaxMs: number) => ({ strategy: "inventory", location, ageMaxMs }) as const;
    const listings = [inventory("s3://reports/a", 1), inventory("s3://reports/b", 2)];
    const discovery = { schedules: listings.map((listing) => ({ listing, everySeconds: 60 })) };
    const asked = { ingestion: "orders", strategy: "inventory" };
    expect(read(asked, discovery).input.listing).toEqual(listings[0]);
    expect(read({ ...asked, inventory: "s3://reports/b/" }, discovery).input.listing).toEqual(listings[1]);
    expect(complaintsOf({ ...asked, inventory: "s3://reports/c" }, discovery)).toContain(
      "inventory is not configured; use s3://reports/a, s3://reports/b, or add its location to discovery in moraine.yaml",
    );
    expect(complaintsOf({ ...asked, inventory: "s3://reports/c" })).toContain("inventory is not configured; add its");
  });

  test("takes the ingestion's own prefix, empty lists and null for nothing said", () => {
    const input = { ingestion: "orders", prefix: "orders/", include: [], exclude: null, strategy: null };
    expect(read(input).input.scope).toEqual({});
  });

  test("is refused with all that is wrong at once, each naming the remedy", () => {
    const complaints = complaintsOf({
      ingestion: "order",
      strategy: "quick",
      dryRun: "yes",
      concurrency: 1000,
      sizeBytesMin: -1,
      include: "*.csv",
      modifiedFrom: "yesterday",
      dry_run: true,
    });
    for (const part of [
      'ingestion "order" is not configured; use orders',
      'strategy is "quick"; use full, incremental_lexical',
      'dryRun is "yes"; write true or false',
      "concurrency is 1000; write a whole number from 1 to 128",
      "sizeBytesMin is -1",
      "include is",
      'modifiedFrom is "yesterday"; write a date',
      "dry_run is not known; use ingestion",
    ]) {
      expect(complaints).toContain(part);
    }
  });

  test.each([
    ["what is no object", [], "the input is no JSON object"],
    ["no ingestion", {}, "ingestion is missing; use orders"],
    ["a prefix outside", { ingestion: "orders", prefix: "other/" }, 'prefix "other/" lies outside the ingestion'],
    ["partitioned without a pattern", { ingestion: "orders", strategy: "partitioned" }, "pattern is missing"],
    ["a bad pattern", { ingestion: "orders", strategy: "partitioned", pattern: "%d" }, "pattern has its units"],
    ["inventory without a location", { ingestion: "orders", strategy: "inventory" }, "inventory is missing"],
    ["an option of another strategy", { ingestion: "orders", overlap: "1h" }, "overlap is for incremental_time"],
    ["a look-back of no strategy", { ingestion: "orders", lookback: 3 }, "lookback is for partitioned"],
    [
      "dates of no partitions",
      { ingestion: "orders", dateFrom: "2026-01-01", dateTo: "2026-01-02" },
      "use modifiedFrom",
    ],
    ["sizes the wrong way round", { ingestion: "orders", sizeBytesMin: 5, sizeBytesMax: 4 }, "sizeBytesMax is below"],
    ["an open bracket", { ingestion: "orders", include: ["[a"] }, "include"],
  ])("is refused for %s", (_what, input, complaint) => {
    expect(complaintsOf(input)).toContain(complaint);
  });

  test.each([
    [{ dateFrom: "2026-01-01" }, "dateTo is missing"],
    [{ dateFrom: "2026-01-02", dateTo: "2026-01-01" }, "dateTo lies before dateFrom"],
    [{ dateFrom: "2026-02-31", dateTo: "2026-03-01" }, "dateFrom is"],
  ])("is refused for the window %j", (dates, complaint) => {
    const input = { ingestion: "orders", strategy: "partitioned", pattern: "%Y/%m/%d", ...dates };
    expect(complaintsOf(input)).toContain(complaint);
  });
});
