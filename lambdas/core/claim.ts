// Claiming a file: one conditional write in the common case. Everything else (a redelivery, a newer version, a claim left
// by a dead batch) starts from the item the failed condition returned; `decideClaim` is the whole rule, and pure.
//
// Invariant: the version on record gives way only to one that was put after it. Its sequencer says so, or else the store, asked after
// the record was read: what is there now came after all that anybody has heard of.

import { type Hold, settleClaimOf } from "./batch.ts";
import type { Ingestion, OverwritePolicy } from "./config.ts";
import { isKind, MoraineError } from "./errors.ts";
import type { ObjectEvent, ObjectVersion } from "./events.ts";
import { type BatchId, objectUri, type Revision, type TableId, tableIdOf } from "./ids.ts";
import { writeItem } from "./ledger-writes.ts";
import type { Clock, GetOutcome, Ledger, ObjectStore, Random } from "./ports.ts";
import { claimRevision, decidedRevision, type FileRecord, fileItem, readFile } from "./records.ts";
import { compareSequencers, isPutAgain, relateVersions } from "./versions.ts";

export type ClaimOutcome =
  /** `previous`: the record as it was, when it told how an earlier version or attempt had ended. */
  | { readonly kind: "claimed"; readonly file: FileRecord; readonly previous?: FileRecord }
  /** The file's fate is on record, or is being brought about by a sealed batch, or this version is not there any more: acknowledge. */
  | { readonly kind: "known"; readonly why: "duplicate" | "older" | "ignored" | "exhausted" | "gone" }
  /** Somebody is at work on the file: come back later. */
  | { readonly kind: "busy" };

export interface ClaimContext {
  readonly ports: {
    readonly ledger: Ledger;
    readonly store: ObjectStore;
    readonly clock: Clock;
    readonly random: Random;
  };
  readonly ingestion: Ingestion;
  readonly batch: BatchId;
  readonly batchFiles: number;
  readonly deathsMax: number;
}

/** Each turn of the loop means that somebody else changed this very item in between. */
const TURNS_MAX = 8;

export async function claimFile(context: ClaimContext, event: ObjectEvent): Promise<ClaimOutcome> {
  const { ports, batch, ingestion } = context;
  let expected: Revision | "absent" = "absent";
  let claim = firstClaim(context, event);
  let previous: FileRecord | undefined;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const written = await writeItem(ports.ledger, fileItem(claim, claimRevision(batch)), expected);
    if (written.kind === "written")
      return { kind: "claimed", file: claim, ...(previous === undefined ? {} : { previous }) };
    if (written.current === undefined) {
      expected = "absent";
      continue;
    }
    const current = readFile(written.current);
    const decision = decideClaim(current, event, ingestion.onOverwrite);
    if (decision.kind === "known") {
      if (decision.why !== "duplicate" || !isPutLater(current, event)) return decision;
      if (await moveOn(context, current, event, written.current.revision)) return decision;
      continue;
    }
    const there = isDoubtful(current, event) ? await askStore(ports.store, event) : "found";
    if (there === "unavailable") return { kind: "busy" };
    if (there !== "found") return { kind: "known", why: "gone" };
    let died = false;
    if (decision.kind === "held") {
      const hold = await settleClaimOf(ports, current.table, current.batch);
      const held = decideHeld(hold, decision.sameVersion);
      // Settling writes the version as it was claimed: a later upload of it is taken note of after that.
      if (held === "busy" || (held === "known" && isPutLater(current, event))) return { kind: "busy" };
      if (held === "known") return { kind: "known", why: "duplicate" };
      // A death in company says nothing about this file, and a service that was down says nothing about any.
      died = hold === "over" && current.batchFiles === 1;
    }
    expected = written.current.revision;
    if (isLoadedAlready(current, event, ingestion.onOverwrite)) return restore(context, current, event, expected);
    claim = nextClaim(context, event, current, died);
    previous = decision.kind === "take" && current.status !== "DISCOVERED" ? current : undefined;
    if (claim.deaths >= context.deathsMax) return giveUp(context, claim, expected);
  }
  return { kind: "busy" };
}

export type ClaimDecision =
  | { readonly kind: "take" }
  | { readonly kind: "known"; readonly why: "duplicate" | "older" | "ignored" }
  /** The holder of the claim decides: dead, alive, or sealed. */
  | { readonly kind: "held"; readonly sameVersion: boolean };

/** What an event may do to a file that is already known. A doubtful one may do it only if its version is there. */
export function decideClaim(current: FileRecord, event: ObjectEvent, policy: OverwritePolicy): ClaimDecision {
  const relation = relateVersions(current.version, event.version);
  if (relation === "older") return { kind: "known", why: "older" };
  if (current.status === "PROCESSING") return { kind: "held", sameVersion: relation === "same" };
  if (current.status === "DISCOVERED") return { kind: "take" };
  if (relation === "same") {
    // A held file waits for a decision, not for another event; being released makes it DISCOVERED.
    if (current.status === "SKIPPED" && current.reason !== "SCHEMA_HELD") return { kind: "take" };
    // The same bytes put again on purpose are a wish to try again.
    const retry = current.status === "FAILED" && (isPutAgain(current.version, event.version) || isNoVerdict(current));
    return retry ? { kind: "take" } : { kind: "known", why: "duplicate" };
  }
  return policy === "ignore" && current.loaded !== undefined ? { kind: "known", why: "ignored" } : { kind: "take" };
}

/** A service that was away is no verdict on the file, nor is what configuration or code must change for. */
function isNoVerdict({ error }: FileRecord): boolean {
  return error?.kind === "Unavailable" || error?.kind === "Invalid";
}

/** Whether only the store can tell: nothing says which of the two came last, or this very version was gone when it was to be read. */
function isDoubtful({ version, status }: FileRecord, event: ObjectEvent): boolean {
  const relation = relateVersions(version, event.version);
  return relation === "unclear" || (relation === "same" && status === "SKIPPED");
}

/** Whether the version is there now. One that cannot be read counts as found: fetching it puts the reason on record. */
async function askStore(
  store: ObjectStore,
  { bucket, key, version }: ObjectEvent,
): Promise<GetOutcome["kind"] | "unavailable"> {
  const { etag, sizeBytes } = version;
  const range = sizeBytes > 0 ? { range: { start: 0, end: 1 } } : {};
  try {
    const got = await store.get(objectUri(bucket, key), { ifMatch: etag, ...range });
    if (got.kind === "found") for await (const _ of got.body);
    return got.kind;
  } catch (error) {
    if (isKind(error, "Rejected")) return "found";
    if (isKind(error, "Unavailable")) return "unavailable";
    throw error;
  }
}

/** What an event may do to a file that a batch has claimed: nothing while that batch binds. */
export function decideHeld(hold: Hold, sameVersion: boolean): "take" | "known" | "busy" {
  if (hold === "open") return "busy";
  if (hold === "sealed") return sameVersion ? "known" : "busy";
  return "take";
}

function firstClaim(context: ClaimContext, event: ObjectEvent): FileRecord {
  const now = context.ports.clock.now();
  return {
    ingestion: context.ingestion.id,
    table: tableOf(context.ingestion),
    bucket: event.bucket,
    key: event.key,
    status: "PROCESSING",
    version: event.version,
    batch: context.batch,
    batchFiles: context.batchFiles,
    attempts: 1,
    deaths: 0,
    discoveredAtMs: now,
    startedAtMs: now,
    ...(event.runId === undefined ? {} : { runId: event.runId }),
  };
}

function nextClaim(context: ClaimContext, event: ObjectEvent, current: FileRecord, died: boolean): FileRecord {
  const claim = firstClaim(context, event);
  const kept = current.loaded === undefined ? {} : { loaded: current.loaded };
  if (current.version.etag !== event.version.etag) return { ...claim, ...kept };
  return {
    ...claim,
    ...kept,
    version: event.version.sequencer === undefined ? event.version : lastPut(event.version, current.version),
    attempts: current.attempts + 1,
    deaths: current.status === "PROCESSING" || current.status === "DISCOVERED" ? current.deaths + (died ? 1 : 0) : 0,
    discoveredAtMs: current.discoveredAtMs,
  };
}

/** Whether the bytes on record were put once more. Versions that were there in between came before them, and may come to be heard of later. */
function isPutLater({ version }: FileRecord, event: ObjectEvent): boolean {
  const { etag, sequencer } = event.version;
  if (version.etag !== etag || version.sequencer === undefined || sequencer === undefined) return false;
  return compareSequencers(version.sequencer, sequencer) < 0;
}

/** false: somebody else changed the record in between. */
async function moveOn(
  { ports, batch }: ClaimContext,
  current: FileRecord,
  event: ObjectEvent,
  expected: Revision,
): Promise<boolean> {
  const file = { ...current, version: lastPut(current.version, event.version) };
  return (await writeItem(ports.ledger, fileItem(file, decidedRevision(batch)), expected)).kind === "written";
}

/** `version`, as of the later one of the two uploads. */
function lastPut(version: ObjectVersion, other: ObjectVersion): ObjectVersion {
  const [one, two] = [version.sequencer, other.sequencer];
  if (two === undefined || (one !== undefined && compareSequencers(one, two) >= 0)) return version;
  return { ...version, sequencer: two };
}

/** The very bytes whose rows are in the table, back after a version that never loaded. Under `replace` loading them again is as good. */
function isLoadedAlready(current: FileRecord, event: ObjectEvent, policy: OverwritePolicy): boolean {
  return policy !== "replace" && current.loaded?.version.etag === event.version.etag;
}

async function restore(
  context: ClaimContext,
  current: FileRecord,
  event: ObjectEvent,
  expected: Revision,
): Promise<ClaimOutcome> {
  const loaded = asLoaded({ ...current, batch: context.batch, processedAtMs: context.ports.clock.now() });
  const file = { ...loaded, version: lastPut(lastPut(loaded.version, current.version), event.version) };
  const outcome = await writeItem(context.ports.ledger, fileItem(file, decidedRevision(context.batch)), expected);
  return outcome.kind === "written" ? { kind: "known", why: "duplicate" } : { kind: "busy" };
}

/** The record of a file as its loaded version left it. */
export function asLoaded(file: FileRecord): FileRecord {
  const { error: _error, reason: _reason, snapshotId: _snapshot, ...rest } = file;
  if (file.loaded === undefined)
    throw new MoraineError("Invalid", "no version of the file is loaded", { key: file.key });
  const { version, records, bytesRead, snapshotId } = file.loaded;
  return {
    ...rest,
    status: "SUCCESS",
    version,
    records,
    bytesRead,
    ...(snapshotId === undefined ? {} : { snapshotId }),
  };
}

/** A file that keeps killing whoever loads it alone: its reason goes on record, and it costs nobody else anything. */
async function giveUp(context: ClaimContext, claim: FileRecord, expected: Revision): Promise<ClaimOutcome> {
  const file: FileRecord = {
    ...claim,
    status: "FAILED",
    reason: "LOADER_DIED",
    processedAtMs: context.ports.clock.now(),
    error: {
      kind: "Rejected",
      message: `the load function died ${claim.deaths} times on this file alone (out of memory or time): split the file or raise the function's memory, then put it again`,
    },
  };
  const outcome = await writeItem(context.ports.ledger, fileItem(file, decidedRevision(context.batch)), expected);
  return outcome.kind === "written" ? { kind: "known", why: "exhausted" } : { kind: "busy" };
}

function tableOf(ingestion: Ingestion): TableId {
  return tableIdOf(ingestion.target);
}

/** Records what became of a claimed file. A refusal means that the claim was taken over: the new holder decides. */
export async function decideFile(ledger: Ledger, file: FileRecord): Promise<void> {
  if (file.status === "PROCESSING")
    throw new MoraineError("Invalid", "a decided file is not processing", { key: file.key });
  await writeItem(ledger, fileItem(file, decidedRevision(file.batch)), claimRevision(file.batch));
}
