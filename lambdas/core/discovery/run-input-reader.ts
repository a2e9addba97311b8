// Reads the fields of a run's input and keeps every complaint, so that one answer names all that is wrong. What nobody asked for is an
// unknown field.

import { parseDuration, shown } from "../config-text.ts";
import { isRecord } from "../json-shape.ts";

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export class InputReader {
  readonly complaints: string[] = [];
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #known = new Set<string>();

  constructor(input: unknown) {
    this.#fields = isRecord(input) ? input : {};
    if (!isRecord(input)) this.complaints.push('the input is no JSON object; write {"ingestion": "…"}');
  }

  complain(name: string, message: string): void {
    this.complaints.push(`${name} ${message}`);
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  text(name: string, check?: (text: string) => string | undefined): string | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string" || value === "") return this.#refuse(name, value, "write text");
    const complaint = check?.(value);
    if (complaint !== undefined) this.complain(name, complaint);
    return value;
  }

  choice<T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.#get(name);
    const found = values.find((candidate) => candidate === value);
    return value === undefined || found !== undefined ? found : this.#refuse(name, value, `use ${values.join(", ")}`);
  }

  flag(name: string): boolean {
    const value = this.#get(name) ?? false;
    return typeof value === "boolean" ? value : (this.#refuse(name, value, "write true or false") ?? false);
  }

  whole(name: string, { min, max }: Bounds): number | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    return this.#refuse(name, value, `write a whole number from ${min} to ${max}`);
  }

  /** `30m`, `12h`, `7d`, in milliseconds. */
  duration(name: string, maxMs: number): number | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    const seconds = typeof value === "string" ? parseDuration(value) : undefined;
    if (seconds !== undefined && seconds > 0 && seconds * 1000 <= maxMs) return seconds * 1000;
    const days = Math.floor(maxMs / DAY_MS);
    return this.#refuse(name, value, `write a duration such as 30m, 12h or 7d, at most ${days}d`);
  }

  /** An ISO date (its midnight in UTC) or date and time with a zone, in milliseconds. */
  instant(name: string): number | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    const atMs = typeof value === "string" && INSTANT.test(value) ? parseInstant(value) : undefined;
    if (atMs !== undefined) return atMs;
    return this.#refuse(name, value, "write a date such as 2026-01-31 or 2026-01-31T12:00:00Z");
  }

  /** The midnight that begins the date, UTC. */
  date(name: string): number | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    const atMs = typeof value === "string" && DATE.test(value) ? parseInstant(value) : undefined;
    if (atMs !== undefined) return atMs;
    return this.#refuse(name, value, "write a date such as 2026-01-31");
  }

  texts(name: string, check: (text: string) => string | undefined): readonly string[] | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every((item): item is string => typeof item === "string")) {
      return this.#refuse(name, value, 'write a list of texts: ["**/*.csv"]');
    }
    for (const complaint of value.map(check)) if (complaint !== undefined) this.complain(name, complaint);
    return value;
  }

  /** Call after the last read. */
  close(): void {
    for (const name of Object.keys(this.#fields)) {
      if (!this.#known.has(name)) this.complain(name, `is not known; use ${[...this.#known].join(", ")}`);
    }
  }

  /** null is what a state machine makes of a field that is not there. */
  #get(name: string): unknown {
    this.#known.add(name);
    return this.#fields[name] ?? undefined;
  }

  #refuse(name: string, value: unknown, remedy: string): undefined {
    const text = typeof value === "string" ? shown(value) : JSON.stringify(value).slice(0, 80);
    this.complain(name, `is ${text}; ${remedy}`);
    return undefined;
  }
}

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Days that no month has are not rolled over into the next one. */
function parseInstant(text: string): number | undefined {
  const date = text.slice(0, 10);
  const midnightMs = Date.parse(date);
  if (Number.isNaN(midnightMs) || !new Date(midnightMs).toISOString().startsWith(date)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : atMs;
}
