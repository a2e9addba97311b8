// Packs lists that stand in one ledger item (the files of a batch) into deflated JSON: a thousand files in a few tens of
// kilobytes, far under DynamoDB's 400 KB. Bytes and bigints survive the round trip.

import { deflateRawSync, inflateRawSync } from "node:zlib";
import { MoraineError } from "./errors.ts";

export function pack(value: unknown): Uint8Array {
  return new Uint8Array(deflateRawSync(JSON.stringify(value, replacer)));
}

/** Throws Corrupt: only Moraine writes these bytes. */
export function unpack(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(inflateRawSync(bytes).toString("utf8"), reviver);
  } catch (cause) {
    throw new MoraineError(
      "Corrupt",
      "packed attribute of a ledger item cannot be read",
      { bytes: bytes.length },
      cause,
    );
  }
}

/** Reads the holder, not the value: Buffer's own toJSON has already run on the value. */
function replacer(this: unknown, name: string, json: unknown): unknown {
  const value = (this as Record<string, unknown>)[name] ?? json;
  if (typeof value === "bigint") return { $bigint: value.toString() };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  return json;
}

function reviver(_name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$bigint" in value && typeof value.$bigint === "string") return BigInt(value.$bigint);
  if ("$bytes" in value && typeof value.$bytes === "string") return new Uint8Array(Buffer.from(value.$bytes, "base64"));
  return value;
}
