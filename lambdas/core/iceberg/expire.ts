// Which snapshots a commit lets go. (What only they reached is left to the sweeper.)
// Older snapshots are thinned rather than cut: one is kept per slot of time, and slots double with age (1, 1, 2, 4, 8 ... minutes).
// Time travel reaches back to `maxAgeMs` while a table committed to every second keeps some tens of snapshots, not thousands:
// metadata.json is rewritten whole on every commit, so its size is the cost of a commit.

import { assert } from "../errors.ts";
import type { Snapshot, SnapshotRef, TableMetadata } from "./types.ts";

export interface ExpiryPolicy {
  /** Newest snapshots of every branch that stay whatever their age; at least 1. */
  readonly keepLast: number;
  readonly maxAgeMs: number;
}

const FIRST_SLOT_MS = 60_000;

/** Ids for one `remove-snapshots` update, oldest first. */
export function snapshotsToExpire(m: TableMetadata, nowMs: number, policy: ExpiryPolicy): bigint[] {
  assert(policy.keepLast >= 1, `keepLast is ${policy.keepLast}`);
  const kept = referencedSnapshots(m, nowMs, policy);
  const slots = new Set<string>();
  const expired: bigint[] = [];
  for (const snapshot of newestFirst(m.snapshots)) {
    const slot = slotOf(snapshot, nowMs);
    const tooOld = nowMs - snapshot["timestamp-ms"] > policy.maxAgeMs;
    // A kept snapshot does not fill its slot: when it stops being among the last, the slot's own holder is still there.
    if (kept.has(snapshot["snapshot-id"])) continue;
    if (tooOld || slots.has(slot)) expired.push(snapshot["snapshot-id"]);
    else slots.add(slot);
  }
  return expired.reverse();
}

function newestFirst(snapshots: readonly Snapshot[]): Snapshot[] {
  return snapshots.toSorted(
    (a, b) => b["timestamp-ms"] - a["timestamp-ms"] || b["sequence-number"] - a["sequence-number"],
  );
}

/**
 * Slots lie on a fixed grid of time, not at fixed ages: a snapshot that is the newest of its slot stays so while the slot merges
 * with its neighbours, so some snapshot always survives into the oldest slots. (With slots at fixed ages each newcomer would push
 * out the one that was about to grow old, and none would.) At most two slots of each width overlap the ages they are for.
 */
function slotOf(snapshot: Snapshot, nowMs: number): string {
  const age = Math.max(0, nowMs - snapshot["timestamp-ms"]);
  let width = FIRST_SLOT_MS;
  while (age >= 2 * width) width *= 2;
  return `${width} ${Math.floor(snapshot["timestamp-ms"] / width)}`;
}

function referencedSnapshots(m: TableMetadata, nowMs: number, policy: ExpiryPolicy): Set<bigint> {
  const byId = new Map(m.snapshots.map((snapshot) => [snapshot["snapshot-id"], snapshot]));
  const kept = new Set<bigint>();
  for (const ref of refsOf(m)) {
    for (const snapshot of keptByRef(ref, byId, nowMs, policy)) kept.add(snapshot["snapshot-id"]);
  }
  return kept;
}

function refsOf(m: TableMetadata): SnapshotRef[] {
  const current = m["current-snapshot-id"];
  const main: SnapshotRef[] = current === undefined ? [] : [{ "snapshot-id": current, type: "branch" }];
  return [...main, ...Object.values(m.refs ?? {})];
}

/** A tag keeps its snapshot; a branch its newest ones, by number and by age where it has rules of its own. */
function keptByRef(
  ref: SnapshotRef,
  byId: ReadonlyMap<bigint, Snapshot>,
  nowMs: number,
  policy: ExpiryPolicy,
): Snapshot[] {
  const number = ref.type === "tag" ? 1 : Math.max(policy.keepLast, ref["min-snapshots-to-keep"] ?? 1);
  const ageMs = ref.type === "tag" ? 0 : (ref["max-snapshot-age-ms"] ?? 0);
  const kept: Snapshot[] = [];
  const met = new Set<bigint>();
  let snapshot = byId.get(ref["snapshot-id"]);
  while (snapshot !== undefined && !met.has(snapshot["snapshot-id"])) {
    met.add(snapshot["snapshot-id"]);
    if (kept.length >= number && nowMs - snapshot["timestamp-ms"] >= ageMs) break;
    kept.push(snapshot);
    const parent: bigint | undefined = snapshot["parent-snapshot-id"];
    snapshot = parent === undefined ? undefined : byId.get(parent);
  }
  return kept;
}
