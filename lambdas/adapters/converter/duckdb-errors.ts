// What kind of error DuckDB raised, by the first words of its message. The rest of a message may quote the data and goes nowhere.

import type { SourceFailure } from "../../core/ports.ts";
import { failure, type SpooledSource } from "./format.ts";
import { MISFIT, NULL_IN, TOO_FAR } from "./strict-cast.ts";

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `Invalid Input Error`, for messages. */
export function kindOf(error: unknown): string {
  return /^([A-Z][A-Za-z ]* Error)/.exec(textOf(error))?.[1] ?? "error";
}

/** DuckDB refuses every statement after such an error. */
export function isPoisoned(error: unknown): boolean {
  return /^(INTERNAL|FATAL) Error/.test(textOf(error)) || textOf(error).includes("database has been invalidated");
}

/** Raised by our own checks of values. */
export function isMisfit(error: unknown): boolean {
  return textOf(error).includes(MISFIT);
}

/** Raised by our own check of timestamps. */
export function isTooFar(error: unknown): boolean {
  return textOf(error).includes(TOO_FAR);
}

/** The required column a null was found in, raised by our own check. */
export function nullColumn(error: unknown): string | undefined {
  const text = textOf(error);
  const at = text.indexOf(NULL_IN);
  if (at < 0) return undefined;
  const column = /^[0-9a-f]*/.exec(text.slice(at + NULL_IN.length))?.[0] ?? "";
  return Buffer.from(column, "hex").toString("utf8");
}

/** A statement DuckDB does not understand: our mistake. */
export function isOurs(error: unknown): boolean {
  return /^(Binder|Parser|Catalog|Permission) Error/.test(textOf(error));
}

export function isOutOfMemory(error: unknown): boolean {
  return textOf(error).startsWith("Out of Memory Error");
}

export function isDiskFull(error: unknown): boolean {
  return /No space left|max_temp_directory_size/.test(textOf(error));
}

/** Of a source that was read alone. */
export function tooLargeForMemory(source: SpooledSource): SourceFailure {
  const message = `needs more memory to read ${source.sizeBytes} bytes than the load function has; give it more, or split the file`;
  return failure(source, "OUT_OF_MEMORY", message);
}

export function tooFar(source: SpooledSource): SourceFailure {
  const message =
    "a timestamp of the type INT96 lies outside of the years 1 to 9999; correct it, or write timestamps in microseconds";
  return failure(source, "TIMESTAMP_OUT_OF_RANGE", message);
}
