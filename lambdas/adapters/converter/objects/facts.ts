// What is known of an object without reading it, as texts by column: its event's facts, its name taken apart, and the
// `name=value` parts of its path as Hive and Spark write partitions.

import mime from "mime";
import { splitUri } from "../../../core/ids.ts";
import { OBJECT_COLUMN_NAMES } from "../../../core/object-rows.ts";
import type { PathDate } from "../../../core/path-date.ts";
import type { Source } from "../../../core/ports.ts";
import { LINEAGE_NAMES } from "../lineage.ts";
import { columnNames } from "../names.ts";

export interface ObjectFacts {
  /** By the column's name in lower case; a column that is not here is null. */
  readonly texts: ReadonlyMap<string, string>;
  /** Columns that come from the path, as it writes them. */
  readonly pathColumns: readonly string[];
}

const RESERVED = [...OBJECT_COLUMN_NAMES, ...LINEAGE_NAMES];
/** What Hive and Spark write for null. */
const NULL_VALUE = "__HIVE_DEFAULT_PARTITION__";

export function factsOf(source: Source, pathDate: PathDate | undefined): ObjectFacts {
  const { bucket, key } = splitUri(source.uri);
  const name = key.slice(key.lastIndexOf("/") + 1);
  const extension = extensionOf(name);
  const pairs = pathPairs(key);
  const pathColumns = columnNames(
    pairs.map(([column]) => column),
    RESERVED,
  );
  const dateMs = pathDate?.find(key);
  const texts: readonly (readonly [column: string, text: string | undefined])[] = [
    ["path", source.uri],
    ["bucket", bucket],
    ["key", key],
    ["name", name === "" ? undefined : name],
    ["extension", extension],
    ["content_type", extension && (mime.getType(extension) ?? undefined)],
    ["size_bytes", String(source.sizeBytes)],
    ["etag", source.etag],
    ["version_id", source.versionId],
    ["modified_at", timeText(source.lastModifiedMs)],
    [pathDate?.field.name ?? "", dateMs === undefined ? undefined : dateText(dateMs, pathDate?.field.type === "date")],
    ...pairs.map(([, value], n) => [(pathColumns[n] as string).toLowerCase(), value] as const),
  ];
  const known = texts.filter((entry): entry is readonly [string, string] => entry[1] !== undefined);
  return { texts: new Map(known), pathColumns };
}

/** In lower case, without the dot; a dot at the start (`.profile`) or at the end begins none. */
export function extensionOf(name: string): string | undefined {
  const dot = name.lastIndexOf(".");
  return dot <= 0 || dot === name.length - 1 ? undefined : name.slice(dot + 1).toLowerCase();
}

/**
 * Folders `name=value`, in the path's order. One `=` with text on both sides: Hive escapes any other, and a folder such as
 * `dGVzdA==` (base64) would become a column of its own for every object.
 */
export function pathPairs(key: string): (readonly [name: string, value: string | undefined])[] {
  return key
    .split("/")
    .slice(0, -1)
    .flatMap((folder) => {
      const [, name = "", value = ""] = /^([^=]+)=([^=]+)$/.exec(folder) ?? [];
      return name.trim() === ""
        ? []
        : [[unescaped(name), value === NULL_VALUE ? undefined : unescaped(value)] as const];
    });
}

/** `%3D` is `=`, and `+` is a plus. What is no escaped text stays as it is. */
function unescaped(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escaped) => {
    try {
      const decoded = decodeURIComponent(escaped);
      return decoded.includes("\0") ? escaped : decoded;
    } catch {
      return escaped;
    }
  });
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

function dateText(ms: number, whole: boolean): string {
  return whole ? timeText(ms).slice(0, 10) : timeText(ms);
}
