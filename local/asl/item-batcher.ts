// Groups a map's items into the inputs of its child executions. Pure.
// Invariant: the batches joined are the items, in order; no input is larger than its limit.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html

import type { Json } from "../template.ts";
import { byteLength, PAYLOAD_BYTES_MAX, StatesError } from "./failure.ts";

export interface ChildInput {
  readonly input: Json;
  readonly itemCount: number;
}

export interface BatchLimits {
  readonly itemsMax?: number | undefined;
  readonly inputBytesMax?: number | undefined;
}

export function batchItems(items: readonly Json[], limits: BatchLimits, batchInput: Json | undefined): ChildInput[] {
  const around: { BatchInput?: Json } = batchInput === undefined ? {} : { BatchInput: batchInput };
  const emptyBytes = byteLength({ ...around, Items: [] });
  const bytesMax = Math.min(limits.inputBytesMax ?? PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX);
  const itemsMax = limits.itemsMax ?? Number.POSITIVE_INFINITY;
  const children: ChildInput[] = [];
  let batch: Json[] = [];
  let sizeBytes = emptyBytes;
  function close(): void {
    if (batch.length > 0) children.push({ input: { ...around, Items: batch }, itemCount: batch.length });
    batch = [];
    sizeBytes = emptyBytes;
  }
  for (const item of items) {
    const itemBytes = byteLength(item) + 1;
    if (emptyBytes + itemBytes - 1 > bytesMax) throw tooLarge("An item");
    const isFull = batch.length >= itemsMax;
    const overflows = sizeBytes + itemBytes - 1 > bytesMax;
    // Only a limit in bytes makes smaller batches than asked for; without one, too large a batch is an error.
    if (overflows && !isFull && limits.inputBytesMax === undefined) throw tooLarge("A batch");
    if (isFull || overflows) close();
    batch.push(item);
    sizeBytes += itemBytes;
  }
  close();
  return children;
}

function tooLarge(what: string): StatesError {
  return new StatesError("States.DataLimitExceeded", `${what} of the Map state is larger than a child's input may be.`);
}
