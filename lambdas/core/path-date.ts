// The date in a key: a pattern such as `%Y/%m/%d` or `dt=%Y-%m-%dT%H`, found anywhere in it.
// The pattern begins with the year and leaves nothing out in the middle, so that what it gives is a day (or an hour) and no guess.

import { assert } from "./errors.ts";
import type { DraftField } from "./iceberg/types.ts";

const DIRECTIVES: Readonly<Record<string, string>> = { Y: "(\\d{4})", m: "(\\d{2})", d: "(\\d{2})", H: "(\\d{2})" };
const COARSE_TO_FINE = Object.keys(DIRECTIVES);

export interface PathDate {
  readonly field: DraftField;
  /** Epoch milliseconds; undefined: the key has no such date. Of several the first that is in the calendar counts. */
  find(key: string): number | undefined;
}

/** The complaint about a pattern, or undefined. */
export function checkPathDate(pattern: string): string | undefined {
  const used = directivesOf(pattern);
  const unknown = used.find((directive) => !COARSE_TO_FINE.includes(directive));
  if (unknown !== undefined) return `%${unknown} is not known; write the pattern with %Y, %m, %d and %H`;
  const twice = used.find((directive, n) => used.indexOf(directive) !== n);
  if (twice !== undefined) return `has %${twice} twice; name each part of the date once`;
  const missing = COARSE_TO_FINE.slice(0, Math.max(1, used.length)).find((directive) => !used.includes(directive));
  return missing === undefined ? undefined : `lacks %${missing}; write a pattern such as %Y/%m/%d`;
}

/** Its column: `path_time` when the pattern has hours, else `path_date`. */
export function pathDateField(pattern: string): DraftField {
  return directivesOf(pattern).includes("H")
    ? { name: "path_time", type: "timestamptz" }
    : { name: "path_date", type: "date" };
}

export function pathDateOf(pattern: string): PathDate {
  assert(checkPathDate(pattern) === undefined, "the pattern of a path's date was checked");
  const used = directivesOf(pattern);
  const expression = expressionOf(pattern);
  return {
    field: pathDateField(pattern),
    find(key) {
      for (const [, ...texts] of key.matchAll(expression)) {
        const [year = 0, month = 1, day = 1, hour = 0] = COARSE_TO_FINE.map((directive) => {
          const at = used.indexOf(directive);
          return at < 0 ? undefined : Number(texts[at]);
        });
        const found = epochMs(year, month, day, hour);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}

function directivesOf(pattern: string): string[] {
  return [...pattern.matchAll(/%(.?)/gsu)].map(([, directive = ""]) => directive);
}

/** Digits right beside the date would make it another number. */
function expressionOf(pattern: string): RegExp {
  const source = pattern
    .split(/(%.)/su)
    .map((part) => (part.startsWith("%") ? DIRECTIVES[part.slice(1)] : part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")))
    .join("");
  return new RegExp(
    `${pattern.startsWith("%") ? "(?<!\\d)" : ""}${source}${/%.$/su.test(pattern) ? "(?!\\d)" : ""}`,
    "g",
  );
}

/** Undefined: no such day or hour. */
function epochMs(year: number, month: number, day: number, hour: number): number | undefined {
  const date = new Date(0);
  // Date.UTC takes years below 100 for 19xx.
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour);
  const same = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && date.getUTCHours() === hour;
  return year > 0 && same ? date.getTime() : undefined;
}
