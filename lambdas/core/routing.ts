// Which ingestion a key belongs to: one bucket feeds many. Longest prefix first, then include and exclude globs over the
// part of the key below the prefix. A key goes to at most one ingestion, so a file can never be loaded twice by overlap.

import picomatch from "picomatch";
import type { Ingestion } from "./config.ts";

export type Router = (bucket: string, key: string) => Ingestion | undefined;

export function createRouter(ingestions: readonly Ingestion[]): Router {
  const routes = ingestions
    .map((ingestion) => ({ ingestion, matches: globMatcher(ingestion.source.include, ingestion.source.exclude) }))
    .sort((a, b) => b.ingestion.source.prefix.length - a.ingestion.source.prefix.length);
  return (bucket, key) =>
    routes.find(({ ingestion: { source }, matches }) => {
      return source.bucket === bucket && key.startsWith(source.prefix) && matches(key.slice(source.prefix.length));
    })?.ingestion;
}

/** Over a key below an ingestion's prefix; no `include` means all. */
export function globMatcher(include: readonly string[], exclude: readonly string[]): (path: string) => boolean {
  const included = include.length === 0 ? () => true : picomatch([...include], { dot: true });
  const excluded = exclude.length === 0 ? () => false : picomatch([...exclude], { dot: true });
  return (path) => included(path) && !excluded(path);
}
