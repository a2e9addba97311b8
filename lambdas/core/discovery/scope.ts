// Which listed objects a run looks at: the ingestion's own, as every event is routed, and of these the run's scope.

import type { Ingestion } from "../config.ts";
import type { ListedObject } from "../ports.ts";
import { globMatcher, type Router } from "../routing.ts";
import type { Scope } from "./model.ts";

export type ScopeFilter = (object: ListedObject) => boolean;

export function scopeFilter(ingestion: Ingestion, route: Router, scope: Scope): ScopeFilter {
  const { bucket, prefix } = ingestion.source;
  const matches = globMatcher(scope.include ?? [], scope.exclude ?? []);
  return (object) =>
    object.key.startsWith(scope.prefix ?? "") &&
    isWithin(object.lastModifiedMs, scope.modifiedFromMs, scope.modifiedBeforeMs) &&
    isSized(object.sizeBytes, scope) &&
    route(bucket, object.key)?.id === ingestion.id &&
    matches(object.key.slice(prefix.length));
}

function isWithin(timeMs: number, fromMs = Number.NEGATIVE_INFINITY, beforeMs = Number.POSITIVE_INFINITY): boolean {
  return timeMs >= fromMs && timeMs < beforeMs;
}

function isSized(sizeBytes: number, { sizeBytesMin = 0, sizeBytesMax = Number.POSITIVE_INFINITY }: Scope): boolean {
  return sizeBytes >= sizeBytesMin && sizeBytes <= sizeBytesMax;
}
