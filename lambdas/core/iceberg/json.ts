// JSON without loss: Iceberg snapshot ids are int64 and Java draws them from all 63 bits, so JSON.parse would round most of them.
// An integer literal outside +-(2^53 - 1) becomes a bigint and a bigint becomes an integer literal; everything else is plain JSON.
// Uses the source text that revivers are given (ECMAScript "JSON.parse source text access", Node 21 and later).

import { MoraineError } from "../errors.ts";

type SourceTextReviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
type SourceTextJson = {
  parse(text: string, reviver: SourceTextReviver): unknown;
  rawJSON(text: string): unknown;
};
const sourceTextJson = JSON as unknown as SourceTextJson;

const INTEGER = /^-?\d+$/;
/** 2^53 has 16 digits. */
const LONG_DIGITS = /\d{16,}/g;

export function parseJson(text: string): unknown {
  try {
    // A reviver is called for every value; metadata of our own tables holds no integer that needs it.
    if (!mayHoldUnsafeInteger(text)) return JSON.parse(text);
    return sourceTextJson.parse(text, (_key, value, { source }) =>
      typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && INTEGER.test(source)
        ? BigInt(source)
        : value,
    );
  } catch (error) {
    throw new MoraineError("Corrupt", "not a JSON document", { length: text.length }, error);
  }
}

/** Digits inside a string or a fraction may say yes in vain. */
function mayHoldUnsafeInteger(text: string): boolean {
  return text.matchAll(LONG_DIGITS).some(([digits]) => !Number.isSafeInteger(Number(digits)));
}

export function formatJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "bigint" ? sourceTextJson.rawJSON(inner.toString()) : inner,
  );
}
