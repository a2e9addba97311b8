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

export function parseJson(text: string): unknown {
  try {
    return sourceTextJson.parse(text, (_key, value, { source }) =>
      typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && INTEGER.test(source)
        ? BigInt(source)
        : value,
    );
  } catch (error) {
    throw new MoraineError("Corrupt", "not a JSON document", { length: text.length }, error);
  }
}

export function formatJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "bigint" ? sourceTextJson.rawJSON(inner.toString()) : inner,
  );
}
