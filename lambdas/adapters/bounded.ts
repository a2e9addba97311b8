// Two small ways of not overdoing it: requests of at most so many items, and a wait before asking again.

export function chunk<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size));
  return chunks;
}

/**
 * Full jitter: anything between nothing and the doubled bound, so that many callers turned away together do not return
 * together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 */
export function waitWithJitter(attempt: number, baseMs = 50, maxMs = 5_000): Promise<void> {
  const boundMs = Math.min(maxMs, baseMs * 2 ** attempt);
  return new Promise((resolve) => setTimeout(resolve, Math.random() * boundMs));
}
