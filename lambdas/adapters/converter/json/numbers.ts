// What the format's `numbers` asks for: how numbers that a long does not hold are kept.

import type { JsonOptions } from "../../../core/config.ts";
import type { ConversionJob } from "../../../core/ports.ts";
import { ShapeReader } from "./shape.ts";

/** As an option of types; nothing where fractions become doubles. */
export function numbersOf({ format }: ConversionJob): Pick<JsonOptions, "numbers"> {
  return "numbers" in format && format.numbers !== undefined ? { numbers: format.numbers } : {};
}

/** Digits are counted only where they decide on types: it costs. */
export function shapeReaderOf(job: ConversionJob): ShapeReader {
  return new ShapeReader(numbersOf(job).numbers === "decimal");
}

/** Whether numbers in columns of text keep all digits. DuckDB makes doubles of them otherwise, for which no file is read twice. */
export function keepsDigits(job: ConversionJob): boolean {
  return !job.inferTypes || numbersOf(job).numbers !== undefined;
}
