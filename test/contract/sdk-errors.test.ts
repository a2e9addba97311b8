// Judging the SDK's errors: a write is "nothing was applied" only when that is certain.

import { describe, expect, test } from "vitest";
import { toMoraineError } from "../../lambdas/adapters/sdk-errors.ts";
import { MoraineError } from "../../lambdas/core/errors.ts";

interface Thrown {
  readonly name?: string;
  readonly code?: string;
  readonly status?: number;
  readonly attempts?: number;
}

function thrown({ name = "Error", code, status, attempts }: Thrown): Error {
  const $metadata = {
    ...(status === undefined ? {} : { httpStatusCode: status }),
    ...(attempts === undefined ? {} : { attempts }),
  };
  return Object.assign(new Error("said the service"), { name, $metadata }, code === undefined ? {} : { code });
}

function judge(error: unknown, effect: "read" | "write"): MoraineError {
  return toMoraineError(error, { action: "s3:PutObject", effect, facts: { uri: "s3://b/k" } });
}

describe("errors of the sdk", () => {
  test.each<[string, Thrown, string, string]>([
    ["a reset connection", { code: "ECONNRESET", attempts: 1 }, "Unavailable", "UnknownOutcome"],
    ["a refused connection", { code: "ECONNREFUSED", attempts: 1 }, "Unavailable", "Unavailable"],
    ["a refused connection after another try", { code: "ECONNREFUSED", attempts: 2 }, "Unavailable", "UnknownOutcome"],
    ["a timeout", { name: "TimeoutError", attempts: 1 }, "Unavailable", "UnknownOutcome"],
    ["an internal error", { name: "InternalError", status: 500 }, "Unavailable", "UnknownOutcome"],
    ["slow down", { name: "SlowDown", status: 503 }, "Unavailable", "Unavailable"],
    ["slow down after another try", { name: "SlowDown", status: 503, attempts: 3 }, "Unavailable", "UnknownOutcome"],
    [
      "a throttled table",
      { name: "ProvisionedThroughputExceededException", status: 400 },
      "Unavailable",
      "Unavailable",
    ],
    ["too many requests", { name: "Whatever", status: 429 }, "Unavailable", "Unavailable"],
    ["a race between creators", { name: "ConditionalRequestConflict", status: 409 }, "Unavailable", "Unavailable"],
    ["an expired session", { name: "ExpiredTokenException", status: 403 }, "Unavailable", "Unavailable"],
    ["a slow request body", { name: "RequestTimeout", status: 400 }, "Unavailable", "UnknownOutcome"],
    ["a denial", { name: "AccessDenied", status: 403 }, "Invalid", "Invalid"],
    ["a denial after another try", { name: "AccessDeniedException", status: 400, attempts: 2 }, "Invalid", "Invalid"],
    ["a missing bucket", { name: "NoSuchBucket", status: 404 }, "Invalid", "Invalid"],
    ["a missing table", { name: "ResourceNotFoundException", status: 400 }, "Invalid", "Invalid"],
    ["a malformed request", { name: "ValidationException", status: 400 }, "Invalid", "Invalid"],
    ["no credentials", { name: "CredentialsProviderError" }, "Invalid", "Invalid"],
  ])("%s", (_, error, read, write) => {
    expect(judge(thrown(error), "read").kind).toBe(read);
    expect(judge(thrown(error), "write").kind).toBe(write);
  });

  test("a denial names the permission that is missing", () => {
    expect(judge(thrown({ name: "AccessDenied", status: 403 }), "write").message).toContain("allow s3:PutObject");
  });

  test("what went wrong is kept: the facts, the service's words, the error itself", () => {
    const error = thrown({ name: "ValidationException", status: 400 });
    const judged = judge(error, "read");
    expect(judged.message).toMatch(/uri=s3:\/\/b\/k .*error=ValidationException .*said=said the service/);
    expect(judged.cause).toBe(error);
  });

  test("an error that was judged before is not judged again", () => {
    const judged = new MoraineError("Corrupt", "already said");
    expect(judge(judged, "write")).toBe(judged);
  });

  test.each([undefined, null, "text", 7])("%j is an error like any other", (error) => {
    expect(judge(error, "read").kind).toBe("Unavailable");
    expect(judge(error, "write").kind).toBe("UnknownOutcome");
  });
});
