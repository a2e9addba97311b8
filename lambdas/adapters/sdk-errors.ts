// One mapping from the AWS SDK's errors to the kinds Moraine acts on, so that no adapter judges an error by itself.
// The invariant: a write is called Unavailable ("nothing was applied") only when that is certain. A timeout, a 5xx, a lost
// connection, or any failure of a write the SDK had already sent once before, is an UnknownOutcome.

import { type ErrorContext, type ErrorKind, MoraineError } from "../core/errors.ts";

export interface SdkCall {
  /** The IAM action, `s3:GetObject`: what a denied caller has to be given. */
  readonly action: string;
  /** Whether the request changes something. */
  readonly effect: "read" | "write";
  readonly facts: ErrorContext;
}

/** What can be asked of anything the SDK throws. */
export interface SdkFailure {
  readonly name: string;
  readonly status: number | undefined;
  /** How often the SDK sent the request. */
  readonly attempts: number;
  /** A service's answer, as opposed to a connection that failed. */
  readonly answered: boolean;
  /** errno name such as ECONNRESET. */
  readonly code: string | undefined;
}

const DENIED =
  /^(AccessDenied|AccessDeniedException|UnauthorizedOperation|UnauthorizedAccess|Forbidden|KMSAccessDeniedException|KMS\.AccessDeniedException|AuthorizationError)$/;
const THROTTLED =
  /(Throttl|SlowDown|TooManyRequests|RequestLimitExceeded|BandwidthLimitExceeded|ProvisionedThroughputExceeded|PriorRequestNotComplete|ResourceNotReady)/;
const TRY_AGAIN =
  /^(ConditionalRequestConflict|OperationAborted|TransactionConflictException|ReplicatedWriteConflictException|ExpiredToken|ExpiredTokenException|RequestExpired|RequestTimeTooSkewed|TransactionInProgressException)$/;
const MISSING =
  /(NoSuchBucket|QueueDoesNotExist|NonExistentQueue|QueueDeletedRecently|^ResourceNotFoundException$|EntityNotFound)/;
/** A 4xx that does not mean the request was refused. */
const TIMED_OUT = /^(RequestTimeout|RequestTimeoutException|OperationTimeoutException|TimeoutError)$/;
/** The connection was never made: no byte of the request was sent. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

export function describeFailure(error: unknown): SdkFailure {
  const parts = (typeof error === "object" && error !== null ? error : {}) as {
    name?: unknown;
    code?: unknown;
    Code?: unknown;
    $metadata?: { httpStatusCode?: number; attempts?: number };
  };
  const status = parts.$metadata?.httpStatusCode;
  const named = [parts.name, parts.Code].find((name) => typeof name === "string" && name !== "Error");
  return {
    name: typeof named === "string" ? named : "Error",
    status,
    attempts: parts.$metadata?.attempts ?? 1,
    answered: status !== undefined,
    code: typeof parts.code === "string" ? parts.code : undefined,
  };
}

/** True when a write may have been applied although it failed. */
export function mayHaveBeenApplied(failure: SdkFailure): boolean {
  if (failure.attempts > 1) return true;
  if (!failure.answered) return !(NEVER_SENT.has(failure.code ?? "") || failure.name === "CredentialsProviderError");
  if (TIMED_OUT.test(failure.name)) return true;
  return (failure.status ?? 0) >= 500 && !THROTTLED.test(failure.name);
}

/** Never loses an error: what is already a MoraineError passes through, the SDK's own is kept as `cause`. */
export function toMoraineError(error: unknown, call: SdkCall): MoraineError {
  if (error instanceof MoraineError) return error;
  const failure = describeFailure(error);
  const { kind, message } = judge(failure, call);
  const facts = { ...call.facts, action: call.action, error: failure.code ?? failure.name, attempts: failure.attempts };
  return new MoraineError(kind, message, { ...facts, said: messageOf(error) }, error);
}

function judge(failure: SdkFailure, call: SdkCall): { kind: ErrorKind; message: string } {
  if (failure.name === "CredentialsProviderError") {
    return { kind: "Invalid", message: "no aws credentials were found: give the process a role, a profile or keys" };
  }
  if (call.effect === "write" && mayHaveBeenApplied(failure) && !refused(failure)) {
    return { kind: "UnknownOutcome", message: "a request may or may not have been applied" };
  }
  if (DENIED.test(failure.name) || (failure.status === 403 && !TRY_AGAIN.test(failure.name))) {
    return { kind: "Invalid", message: `access was denied: allow ${call.action} to this role` };
  }
  if (isThrottled(failure)) return { kind: "Unavailable", message: "throttled" };
  if (TRY_AGAIN.test(failure.name)) return { kind: "Unavailable", message: "the service asks to try again" };
  if (MISSING.test(failure.name)) {
    return { kind: "Invalid", message: "what the request names does not exist: deploy the stack or correct the name" };
  }
  const definite = failure.answered && (failure.status ?? 0) < 500 && !TIMED_OUT.test(failure.name);
  if (definite && (failure.status ?? 0) >= 400) return { kind: "Invalid", message: "the service refused the request" };
  return { kind: "Unavailable", message: "the service did not answer" };
}

/** The service asks for fewer requests. */
export function isThrottled({ name, status }: SdkFailure): boolean {
  return THROTTLED.test(name) || status === 429;
}

/** Denials do not depend on what earlier attempts did; calling them unknown would hide the remedy. */
function refused(failure: SdkFailure): boolean {
  return failure.answered && (DENIED.test(failure.name) || MISSING.test(failure.name));
}

/** Service messages name resources, not rows; they are cut because some carry whole requests. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
