// The exactly-once mark: every commit sets `moraine.<ledger-id>.commit-seq = n:<intent-id>` in the same metadata file as its
// snapshot, from a base that carries n-1. It survives snapshot expiry and compaction, which summaries do not.

import type { TableMetadata } from "./iceberg/types.ts";
import type { IntentId } from "./ids.ts";
import type { Intent } from "./records.ts";

export interface Watermark {
  /** 0: this ledger never committed to the table. */
  readonly seq: number;
  readonly intent?: IntentId;
}

function propertyOf(ledgerId: string): string {
  return `moraine.${ledgerId}.commit-seq`;
}

export function readWatermark(metadata: TableMetadata, ledgerId: string): Watermark {
  const text = metadata.properties[propertyOf(ledgerId)];
  if (text === undefined) return { seq: 0 };
  const [seq, ...intent] = text.split(":");
  return { seq: Number(seq), intent: intent.join(":") as IntentId };
}

export function watermarkProperty(ledgerId: string, intent: Intent): Record<string, string> {
  return { [propertyOf(ledgerId)]: `${intent.seq}:${intent.id}` };
}

/**
 * What the base says of an open intent. "ahead": not committed yet, and this base may carry it. "landed": it is in.
 * "disagrees": neither; either somebody finished the intent meanwhile, or ledger and table are not of one history.
 */
export function placeIntent(mark: Watermark, intent: Intent): "ahead" | "landed" | "disagrees" {
  if (mark.seq === intent.seq && mark.intent === intent.id) return "landed";
  return mark.seq === intent.seq - 1 ? "ahead" : "disagrees";
}
