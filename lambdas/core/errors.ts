// The one error class of Moraine. A kind exists only because a handler does something different for it;
// expected outcomes (duplicate, busy, conflict a loop is made for) are return values, not errors.

export type ErrorKind =
  /** Configuration or code must change before this can succeed: a message goes to the dead-letter queue, a file tried too often is FAILED. */
  | "Invalid"
  /** This object can never load as it is: its file is FAILED, its neighbours land. */
  | "Rejected"
  /** Somebody else's lease was found; come back later. */
  | "Busy"
  /** Our batch was aborted while we slept: stop, write nothing more. */
  | "Fenced"
  /** A service did not answer or throttled, and nothing was applied: retry with full jitter. */
  | "Unavailable"
  /** A compare-and-swap lost: refresh and rebuild. */
  | "Conflict"
  /** The request may or may not have been applied: look before acting, delete nothing. */
  | "UnknownOutcome"
  /** Ledger and table disagree: stop this table, keep everything, page. */
  | "Corrupt";

export type ErrorContext = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

export class MoraineError extends Error {
  readonly kind: ErrorKind;
  readonly context: ErrorContext;

  /** `message`: lower case, no full stop. `context`: facts (never row contents), appended as key=value. */
  constructor(kind: ErrorKind, message: string, context: ErrorContext = {}, cause?: unknown) {
    super(withFacts(message, context), cause === undefined ? undefined : { cause });
    this.name = "MoraineError";
    this.kind = kind;
    this.context = context;
  }
}

function withFacts(message: string, context: ErrorContext): string {
  const facts = Object.entries(context)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  return [message, ...facts].join(" ");
}

export function isKind(error: unknown, ...kinds: ErrorKind[]): error is MoraineError {
  return error instanceof MoraineError && kinds.includes(error.kind);
}

/** Programmer errors only, also in production: a broken invariant must never reach the table. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
