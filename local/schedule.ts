// EventBridge schedule expressions on a timer: `rate(5 minutes)` and the plain part of `cron(…)` (numbers, lists, ranges, steps,
// names of days; no L, W or #). Times are UTC. `timeScale` shortens the wait, so that a day passes in a test.

export type Schedule =
  | { readonly kind: "rate"; readonly everyMs: number }
  /** The admitted values of each field; undefined: all. */
  | { readonly kind: "cron"; readonly fields: readonly (ReadonlySet<number> | undefined)[] };

const UNITS_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const MINUTE_MS = 60_000;
/** minute, hour, day of month, month, day of week (1 is Sunday), year */
const RANGES = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [1, 7],
  [1970, 2199],
] as const;
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** undefined: an expression this stack does not know, such as `at(…)`. */
export function parseSchedule(expression: string): Schedule | undefined {
  const rate = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression);
  if (rate !== null) return { kind: "rate", everyMs: Number(rate[1]) * (UNITS_MS[rate[2] ?? ""] ?? 0) };
  const fields = /^cron\((.+)\)$/.exec(expression)?.[1]?.trim().split(/\s+/);
  if (fields?.length !== RANGES.length) return undefined;
  try {
    return {
      kind: "cron",
      fields: fields.map((field, index) => parseField(field, RANGES[index] as readonly [number, number])),
    };
  } catch {
    return undefined;
  }
}

function parseField(field: string, [low, high]: readonly [number, number]): ReadonlySet<number> | undefined {
  if (field === "*" || field === "?") return undefined;
  const values = new Set<number>();
  for (const part of field.split(",")) {
    const [span = "", step = "1"] = part.split("/");
    const [from = "", to = part.includes("/") ? String(high) : from] =
      span === "*" ? [String(low), String(high)] : span.split("-");
    for (let value = numberOf(from); value <= numberOf(to); value += numberOf(step)) values.add(value);
  }
  return values;
}

function numberOf(text: string): number {
  const day = DAYS.indexOf(text.toUpperCase());
  const value = day >= 0 ? day + 1 : Number(text);
  if (!Number.isInteger(value) || text === "") throw new RangeError(`not a schedule value: ${text}`);
  return value;
}

/** Epoch milliseconds of the first firing after `afterMs`; undefined when there is none within four years. */
export function nextFiring(schedule: Schedule, afterMs: number): number | undefined {
  if (schedule.kind === "rate") return afterMs + schedule.everyMs;
  const horizonMs = afterMs + 4 * 366 * 86_400_000;
  const [minutes, hours, ...dayFields] = schedule.fields;
  for (let at = (Math.floor(afterMs / MINUTE_MS) + 1) * MINUTE_MS; at <= horizonMs; ) {
    const time = new Date(at);
    const day = [time.getUTCDate(), time.getUTCMonth() + 1, time.getUTCDay() + 1, time.getUTCFullYear()];
    if (!dayFields.every((field, index) => admits(field, day[index])))
      at = Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate() + 1);
    else if (!admits(hours, time.getUTCHours())) at += 3_600_000 - (at % 3_600_000);
    else if (!admits(minutes, time.getUTCMinutes())) at += MINUTE_MS;
    else return at;
  }
  return undefined;
}

function admits(field: ReadonlySet<number> | undefined, value: number | undefined): boolean {
  return field === undefined || (value !== undefined && field.has(value));
}

/** Calls `fire` at every firing until stopped. */
export function startSchedule(
  schedule: Schedule,
  timeScale: number,
  now: () => number,
  fire: () => void,
): { stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  // Longer timeouts overflow to 1 ms; waking once a day to wait again is cheap.
  const wait = (ms: number, then: () => void): void => {
    timer = ms > 86_400_000 ? setTimeout(() => wait(ms - 86_400_000, then), 86_400_000) : setTimeout(then, ms);
  };
  const arm = (fromMs: number): void => {
    const at = nextFiring(schedule, fromMs);
    if (at === undefined) return;
    wait((at - fromMs) * timeScale, () => {
      fire();
      arm(schedule.kind === "rate" || timeScale !== 1 ? at : now());
    });
  };
  arm(now());
  return { stop: () => clearTimeout(timer) };
}
