// Switches single guards of the protocol off, by lying at a port. Each of these must be noticed by the checkers within the
// seeds that CI runs: a guard whose absence nobody notices is either not needed or not tested.

import { isKind } from "../../lambdas/core/errors.ts";
import type { ObjectUri, Revision, TableName } from "../../lambdas/core/ids.ts";
import { tableIdOf } from "../../lambdas/core/ids.ts";
import type { Catalog, Ledger, LedgerItem, ObjectStore, TablePointer, WriteOutcome } from "../../lambdas/core/ports.ts";
import { type BatchRecord, claimRevision, fileKey, headKey, readBatch, readHead } from "../../lambdas/core/records.ts";
import { LEDGER_ID } from "./settings.ts";

export const SABOTAGES = [
  "batch-fencing",
  "claim-condition",
  "seal-condition",
  "if-match",
  "intent-before-commit",
  "watermark",
  "unknown-outcome",
  "replace-deletes",
  "ghosts",
  "held-until-quiet",
] as const;

export type Sabotage = (typeof SABOTAGES)[number];

/** Port members that a sabotage replaces. */
export interface Saboteur {
  ledger(real: Ledger): Ledger;
  store(real: ObjectStore): ObjectStore;
  pointer(real: TablePointer): TablePointer;
  catalog(real: Catalog, ledger: Ledger): Catalog;
}

const same = <T>(port: T): T => port;
const HONEST: Saboteur = { ledger: same, store: same, pointer: same, catalog: same };

export function saboteurOf(sabotage: Sabotage | undefined): Saboteur {
  switch (sabotage) {
    case undefined:
      return HONEST;
    case "batch-fencing":
      // The taker-over believes that it aborted the batch; the batch never hears of it.
      return { ...HONEST, ledger: (real) => onWrite(real, isAbort, async () => ({ kind: "written" })) };
    case "claim-condition":
      return { ...HONEST, ledger: (real) => onWrite(real, isClaim, (item) => force(real, item)) };
    case "seal-condition":
      return { ...HONEST, ledger: (real) => onWrite(real, isSeal, (item) => force(real, item)) };
    case "intent-before-commit":
      return { ...HONEST, ledger: (real) => onWrite(real, isIntent, async () => ({ kind: "written" })) };
    case "if-match":
      return { ...HONEST, store: (real) => override(real, { get: (uri: ObjectUri) => real.get(uri) }) };
    case "unknown-outcome":
      // A lost answer is taken for a refusal, and what was "not" committed is cleaned up.
      return {
        ...HONEST,
        pointer: (real) => override(real, { swap: (...args) => answerAsConflict(() => real.swap(...args)) }),
      };
    case "watermark":
      return { ...HONEST, catalog: blindCatalog };
    case "replace-deletes":
      return {
        ...HONEST,
        ledger: (real) => onWrite(real, isClaim, (item, expected) => real.write(withoutLoaded(item), expected)),
      };
    case "ghosts":
      return { ...HONEST, ledger: claimsStand };
    case "held-until-quiet":
      // The first release is taken for the last.
      return {
        ...HONEST,
        ledger: (real) => onWrite(real, isReleased, (item, expected) => real.write(over(item), expected)),
      };
  }
}

/** Every sealed batch that is listed is then found to hold its first file, also one that came back from the dead. */
function claimsStand(real: Ledger): Ledger {
  const claims = new Map<string, Revision[]>();
  return override(real, {
    async *list(...args: Parameters<Ledger["list"]>) {
      claims.clear();
      for await (const item of real.list(...args)) {
        if (isSeal(item)) noteClaim(claims, readBatch(item));
        yield item;
      }
    },
    readMany: async (keys: Parameters<Ledger["readMany"]>[0]) => {
      const items = await real.readMany(keys);
      return items.map((item) => {
        const revision = item && claims.get(item.key.partition)?.shift();
        return revision === undefined ? item : { ...item, revision };
      });
    },
  } as Partial<Ledger>);
}

function noteClaim(claims: Map<string, Revision[]>, { batch, staged }: BatchRecord): void {
  const claimed = staged?.files[0]?.claimed;
  if (claimed === undefined) return;
  const { partition } = fileKey(claimed.ingestion, claimed.bucket, claimed.key);
  claims.set(partition, [...(claims.get(partition) ?? []), claimRevision(batch)]);
}

type Write = (item: LedgerItem, expected: Revision | "absent") => Promise<WriteOutcome>;

function onWrite(real: Ledger, applies: (item: LedgerItem) => boolean, instead: Write): Ledger {
  return override(real, {
    write: (item: LedgerItem, expected: Revision | "absent") =>
      applies(item) ? instead(item, expected) : real.write(item, expected),
  });
}

async function force(real: Ledger, item: LedgerItem): Promise<WriteOutcome> {
  const current = await real.read(item.key);
  return real.write(item, current?.revision ?? "absent");
}

async function answerAsConflict<T>(call: () => Promise<T>): Promise<T | { readonly kind: "conflict" }> {
  try {
    return await call();
  } catch (error) {
    if (isKind(error, "UnknownOutcome")) return { kind: "conflict" };
    throw error;
  }
}

/** Shows every base as if it carried the commit before the one that is open. */
function blindCatalog(real: Catalog, ledger: Ledger): Catalog {
  return override(real, {
    load: async (name: TableName) => {
      const table = await real.load(name);
      const head = await ledger.read(headKey(tableIdOf(name)));
      if (table === undefined || head === undefined) return table;
      const properties = {
        ...table.metadata.properties,
        [`moraine.${LEDGER_ID}.commit-seq`]: `${readHead(head).seq}:unseen`,
      };
      return { ...table, metadata: { ...table.metadata, properties } };
    },
  });
}

function override<T extends object>(real: T, members: Partial<T>): T {
  return new Proxy(real, {
    get(target, property) {
      const own: unknown = Reflect.get(members, property);
      const member = own ?? Reflect.get(target, property, target);
      return typeof member === "function" && own === undefined ? member.bind(target) : member;
    },
  });
}

function isAbort(item: LedgerItem): boolean {
  return item.body["kind"] === "batch" && item.body["state"] === "ABORTED";
}

function isSeal(item: LedgerItem): boolean {
  return item.body["kind"] === "batch" && item.body["state"] === "SEALED";
}

function isClaim(item: LedgerItem): boolean {
  return item.body["kind"] === "file" && item.body["status"] === "PROCESSING";
}

function isIntent(item: LedgerItem): boolean {
  return item.body["kind"] === "head" && item.body["intent"] !== undefined;
}

function isReleased(item: LedgerItem): boolean {
  return item.body["kind"] === "schema-change" && item.body["released"] !== undefined;
}

function over(item: LedgerItem): LedgerItem {
  return { ...item, body: { ...item.body, carriedOutAtMs: 1 } };
}

function withoutLoaded(item: LedgerItem): LedgerItem {
  const { loaded: _forgotten, ...body } = item.body;
  return { ...item, body };
}
