// Two ways to look at what a port does: all of an async iterable, and the kind of error a call ends in.

import { type ErrorKind, MoraineError } from "../../lambdas/core/errors.ts";

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** Errors that are not MoraineErrors are thrown on: a port may not let them through. */
export async function kindOf(work: Promise<unknown>): Promise<ErrorKind | "no error"> {
  try {
    await work;
    return "no error";
  } catch (error) {
    if (error instanceof MoraineError) return error.kind;
    throw error;
  }
}
