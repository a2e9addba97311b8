// Values that are hard for somebody, drawn from a seed: limits, signs, times before 1970, empty and odd texts, nulls.

import { decimalOf } from "../../lambdas/core/iceberg/type-text.ts";
import { SeededRandom } from "../fakes/seeded-random.ts";
import type { Canon, Column, Row } from "./rows.ts";

const TEXTS = [
  "",
  " ",
  "plain",
  'quo"te',
  "a/b c",
  "line\nbreak",
  "tab\there",
  "ünïcödé ☃",
  "日本語",
  "👩‍🚀 + 🚀",
  "null",
  "0x1F",
];
const LONGS = ["0", "-1", "9223372036854775807", "-9223372036854775808", "9007199254740993"];
const DOUBLES = ["0", "-1.5", "1e-7", "1.7976931348623157e+308", "5e-324", "0.1"];

/** A generator of canonical values of each type; one in eight is null. */
export class Values {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  row(columns: readonly Column[], fixed: Row = {}): Row {
    const drawn = columns.map(({ name, type }): [string, Canon] => [name, this.#nullable(() => this.scalar(type))]);
    return { ...Object.fromEntries(drawn), ...fixed };
  }

  scalar(type: Column["type"]): Canon {
    switch (type) {
      case "boolean":
        return this.upTo(2) === 0;
      case "long":
        return this.upTo(3) === 0 ? this.pick(LONGS) : String(this.upTo(2_000) - 1_000);
      case "double":
        return this.upTo(3) === 0 ? this.pick(DOUBLES) : String((this.upTo(2_000_000) - 1_000_000) / 1_000);
      case "date":
        return this.#time().slice(0, 10);
      case "timestamp":
        return this.#time();
      case "timestamptz":
        return `${this.#time()}Z`;
      case "string":
        return this.upTo(2) === 0 ? this.pick(TEXTS) : `text ${this.upTo(50)}`;
      default:
        return this.#decimal(String(type));
    }
  }

  pick<T>(items: readonly T[]): T {
    return items[this.upTo(items.length)] as T;
  }

  upTo(limit: number): number {
    return Math.floor(this.#random.fraction() * limit);
  }

  #nullable(value: () => Canon): Canon {
    return this.upTo(8) === 0 ? null : value();
  }

  /** 1901 to 2099, with microseconds. */
  #time(): string {
    const ms = Date.UTC(1901, 0, 1) + this.upTo(199 * 365 * 86_400) * 1_000;
    return `${new Date(ms).toISOString().slice(0, 19)}.${String(this.upTo(1_000_000)).padStart(6, "0")}`;
  }

  #decimal(type: string): string {
    const { precision, scale } = decimalOf(type) ?? { precision: 1, scale: 0 };
    const digits = Array.from({ length: 1 + this.upTo(precision) }, () => String(this.upTo(10))).join("");
    const padded = digits.padStart(scale + 1, "0");
    const whole = padded.slice(0, padded.length - scale).replace(/^0+(?=\d)/, "");
    const zero = /^0*$/.test(digits);
    return `${this.upTo(2) === 0 && !zero ? "-" : ""}${whole}${scale === 0 ? "" : `.${padded.slice(-scale)}`}`;
  }
}
