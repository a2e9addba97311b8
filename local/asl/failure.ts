// How a state fails, and how an execution is ended from outside: the two must never be taken for one another, for a Catch
// sees the first and nothing may hold up the second. Names of errors are Step Functions' own.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html

/** A state's failure. `message` is what Step Functions calls the cause. */
export class StatesError extends Error {
  readonly error: string;
  /** Of an expression that failed: its field, such as `Output/error`. */
  readonly location: string | undefined;

  constructor(error: string, cause = "", location?: string) {
    super(cause);
    this.name = "StatesError";
    this.error = error;
    this.location = location;
  }
}

export type EndStatus = "ABORTED" | "TIMED_OUT";

/** The execution, branch or iteration was ended by something else than its own states. */
export class Ended extends Error {
  readonly status: EndStatus;
  readonly error: string | undefined;
  readonly reason: string | undefined;

  constructor(status: EndStatus, error?: string, reason?: string) {
    super(`ended status=${status}`);
    this.name = "Ended";
    this.status = status;
    this.error = error;
    this.reason = reason;
  }
}

/** What the service itself does not allow, or this interpreter does not do: no Retry and no Catch sees it. */
export function runtimeError(cause: string): StatesError {
  return new StatesError("States.Runtime", cause);
}

/** A failure of this program is one of the state it happened in, never one of the whole stack. */
export function statesErrorOf(error: unknown): StatesError {
  if (error instanceof StatesError) return error;
  return runtimeError(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
}

/** As events and descriptions show a failure: without a cause where there is none. */
export function errorFields({ error, message }: StatesError): { readonly error: string; readonly cause?: string } {
  return message === "" ? { error } : { error, cause: message };
}

export const PAYLOAD_BYTES_MAX = 262_144;

export function byteLength(content: unknown): number {
  return Buffer.byteLength(JSON.stringify(content) ?? "");
}

/** `what`: such as `The state/task 'Load' returned a result`. */
export function checkPayload(content: unknown, what: string): void {
  if (byteLength(content) <= PAYLOAD_BYTES_MAX) return;
  const limit = "a size exceeding the maximum number of bytes service limit.";
  throw new StatesError("States.DataLimitExceeded", `${what} with ${limit}`);
}
