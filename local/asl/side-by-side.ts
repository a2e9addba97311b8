// Runs numbered pieces of work, at most so many at once; the first failure ends all others and is the failure of the whole.

import type { Cancellation } from "./cancellation.ts";
import { Ended } from "./failure.ts";

export async function runSideBySide<T>(
  count: number,
  concurrencyMax: number,
  parent: Cancellation,
  work: (index: number, cancellation: Cancellation) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  const cancellation = parent.child();
  let failure: unknown;
  let next = 0;
  async function worker(): Promise<void> {
    while (next < count && cancellation.reason === undefined) {
      const index = next++;
      try {
        results[index] = await work(index, cancellation);
      } catch (error) {
        failure ??= error;
        cancellation.cancel(new Ended("ABORTED"));
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(count, concurrencyMax) }, worker));
  cancellation.release();
  if (parent.reason !== undefined) throw parent.reason;
  if (failure !== undefined) throw failure;
  return results;
}
