// Reads `moraine.yaml` into a MoraineConfig: parse, defaults, checks. Every error is one line with file, line, path and remedy,
// and all of them come at once. Pure: the CDK app, the operator's command and the tests call it with the text. The functions
// never do: they read the validated result, which differs only in the buckets' names (`resolve-buckets.ts`).

import type { BucketConfig, DatabaseConfig, FormatOptions, Ingestion, JsonOptions, MoraineConfig } from "./config.ts";
import { readSharedDiscovery } from "./config-cache.ts";
import { readDelimited, readFixed } from "./config-delimited.ts";
import { readDiscovery } from "./config-discovery.ts";
import { openYaml, type Place, Section, type Source } from "./config-reader.ts";
import * as rules from "./config-rules.ts";
import { LIMITS } from "./environment.ts";
import type { IngestionId } from "./ids.ts";
import { BAD_ROW_DEFAULTS, SCHEMA_DEFAULTS } from "./schema/defaults.ts";

export type ParsedConfig =
  | { readonly config: MoraineConfig; readonly errors?: never }
  | { readonly config?: never; readonly errors: readonly string[] };

const MIB = 1024 * 1024;

export function parseConfig(text: string, fileName: string): ParsedConfig {
  const source = openYaml(text, fileName);
  if (source.errors.length > 0) return { errors: source.errors };
  const config = source.document.contents === null ? undefined : readConfig(source, source.document.contents);
  if (config === undefined)
    return { errors: [`${fileName}:1: ingestions: is missing; describe at least one ingestion`] };
  return source.errors.length > 0 ? { errors: source.errors } : { config };
}

function readConfig(source: Source, root: Place["node"]): MoraineConfig {
  const file = new Section(source, { node: root, path: "" });
  const landing = readLanding(source, file);
  const warehouse = readWarehouse(file, landing);
  const commit = file.section("commit");
  const interval = { fallback: 30, min: 1, max: LIMITS.commitIntervalSecondsMax };
  const intervalSeconds = commit?.duration("interval", interval) ?? interval.fallback;
  commit?.close();
  const discovery = readSharedDiscovery(file.section("discovery"));
  const sections = file.list("ingestions", true).map((place) => new Section(source, place));
  if (file.has("ingestions") && sections.length === 0)
    file.complain("ingestions", "is empty; describe at least one ingestion");
  const ingestions = sections.map((section) => readIngestion(section, landing));
  for (const conflict of rules.findConflicts(ingestions)) {
    const section = sections[conflict.index];
    const place = conflict.section === "ingestion" ? section : section?.section(conflict.section);
    place?.complain(conflict.key, conflict.message);
  }
  checkUse(source, file, landing, ingestions);
  const databases = readDatabases(source, file, ingestions);
  file.close(["catalog"]);
  const shared = discovery === undefined ? {} : { discovery };
  return { landing, warehouse, commit: { intervalSeconds }, ...shared, databases, ingestions };
}

function readLanding(source: Source, file: Section): readonly BucketConfig[] {
  if (!file.has("landing")) return [{ bucket: "landing", existing: false }];
  const buckets: BucketConfig[] = [];
  for (const place of file.list("landing")) {
    const section = new Section(source, place);
    const bucket = section.string("bucket", { check: rules.checkBucketName });
    if (buckets.some((other) => other.bucket === bucket))
      section.complain("bucket", `"${bucket}" is listed twice; remove one`);
    buckets.push({ bucket, existing: section.boolean("existing", false) });
    section.close();
  }
  return buckets;
}

function readWarehouse(file: Section, landing: readonly BucketConfig[]): MoraineConfig["warehouse"] {
  const section = file.section("warehouse");
  if (section === undefined) return { bucket: "warehouse", existing: false, prefix: "" };
  const bucket = section.string("bucket", { check: rules.checkBucketName, fallback: "warehouse" });
  if (landing.some((other) => other.bucket === bucket)) {
    section.complain(
      "bucket",
      `"${bucket}" is a landing bucket, and tables written there would load themselves; name another`,
    );
  }
  const existing = section.boolean("existing", false);
  const prefix = section.string("prefix", { check: rules.checkWarehousePrefix, fallback: "" });
  section.close();
  return { bucket, existing, prefix };
}

function readDatabases(source: Source, file: Section, ingestions: readonly Ingestion[]): readonly DatabaseConfig[] {
  const used = [...new Set(ingestions.map((ingestion) => ingestion.target.database))];
  const existing = new Map<string, boolean>();
  for (const place of file.list("databases")) {
    const section = new Section(source, place);
    const database = section.string("database", { check: rules.checkGlueName });
    if (!used.includes(database))
      section.complain("database", `"${database}" is the target of no ingestion; remove it`);
    if (existing.has(database)) section.complain("database", `"${database}" is listed twice; remove one`);
    existing.set(database, section.boolean("existing", false));
    section.close();
  }
  return used.map((database) => ({ database, existing: existing.get(database) ?? false }));
}

function readIngestion(section: Section, landing: readonly BucketConfig[]): Ingestion {
  const id = section.string("id", { check: rules.checkIngestionId }) as IngestionId;
  const ingestion: Ingestion = {
    id,
    source: readSource(section.requiredSection("source"), landing),
    format: readFormat(section.requiredSection("format")),
    compression:
      section.choice("compression", { values: ["auto", "none", "gzip", "zstd", "zip", "tar"], fallback: "auto" }) ??
      "auto",
    target: readTarget(section.requiredSection("target"), landing),
    schema: readSchema(section.section("schema")),
    badRows: readBadRows(section),
    onOverwrite:
      section.choice("onOverwrite", { values: ["replace", "append", "ignore"], fallback: "replace" }) ?? "replace",
    lineage: section.boolean("lineage", true),
    batch: readBatch(section.section("batch")),
    discovery: readDiscovery(section.section("discovery")),
  };
  section.close();
  return ingestion;
}

function readSource(section: Section | undefined, landing: readonly BucketConfig[]): Ingestion["source"] {
  if (section === undefined) return { bucket: "", prefix: "", include: [], exclude: [] };
  const only = landing.length === 1 ? landing[0]?.bucket : undefined;
  const bucket = section.string("bucket", only === undefined ? {} : { fallback: only });
  if (section.has("bucket") && !landing.some((declared) => declared.bucket === bucket)) {
    const names = landing.map((declared) => declared.bucket).join(", ");
    section.complain("bucket", `"${bucket}" is no landing bucket; add it to landing, or use one of: ${names}`);
  }
  const prefix = section.string("prefix", { check: rules.checkSourcePrefix, fallback: "" });
  const include = section.strings("include", rules.checkGlob);
  const exclude = section.strings("exclude", rules.checkGlob);
  section.close();
  return { bucket, prefix, include, exclude };
}

function readFormat(section: Section | undefined): FormatOptions {
  const type = section?.choice("type", {
    values: ["csv", "tsv", "fixed", "ndjson", "json", "parquet", "avro", "metadata", "binary"],
    planned: ["orc", "xml"],
  });
  if (section === undefined || type === undefined) return { type: "ndjson" };
  const format = readOptions(section, type);
  section.close();
  return format;
}

function readOptions(section: Section, type: FormatOptions["type"]): FormatOptions {
  if (type === "csv" || type === "tsv") return readDelimited(section, type);
  if (type === "fixed") return readFixed(section);
  return type === "metadata" || type === "binary" ? readObject(section, type) : readSelfDescribing(section, type);
}

function readObject(section: Section, type: "metadata" | "binary"): FormatOptions {
  const pathDate = section.optionalString("pathDate", rules.checkPathDatePattern);
  const dated = pathDate === undefined ? {} : { pathDate };
  if (type === "metadata") return { type, ...dated };
  return {
    type,
    contentBytesMax: section.integer("contentBytesMax", { fallback: MIB, min: 1, max: 16 * MIB }),
    ...dated,
  };
}

function readSelfDescribing(section: Section, type: "ndjson" | "json" | "parquet" | "avro"): FormatOptions {
  if (type === "parquet" || type === "avro") return { type };
  const options = readJsonOptions(section);
  if (type === "ndjson" || !section.has("recordsPath")) return { type, ...options };
  if (options.values === true)
    section.complain("values", "does not go with recordsPath, under which records are objects; remove one of them");
  return { type, recordsPath: section.string("recordsPath"), ...options };
}

function readJsonOptions(section: Section): JsonOptions {
  const numbers = section.choice("numbers", { values: ["double", "decimal", "string"], fallback: "double" });
  return {
    ...(section.boolean("values", false) ? { values: true } : {}),
    ...(section.choice("duplicateKeys", { values: ["fail", "last"], fallback: "fail" }) === "last"
      ? { duplicateKeys: "last" }
      : {}),
    ...(numbers === undefined || numbers === "double" ? {} : { numbers }),
  };
}

function readTarget(section: Section | undefined, landing: readonly BucketConfig[]): Ingestion["target"] {
  if (section === undefined)
    return { database: "", table: "", partitionBy: [], targetFileSizeBytes: 0, properties: {} };
  const location = section.optionalString("location", rules.checkLocation);
  const locationBucket = location?.split("/")[2];
  if (landing.some((declared) => declared.bucket === locationBucket)) {
    section.complain(
      "location",
      `"${locationBucket}" is a landing bucket, and the table would load itself; name another`,
    );
  }
  const target = {
    database: section.string("database", { check: rules.checkGlueName }),
    table: section.string("table", { check: rules.checkGlueName }),
    partitionBy: section.strings("partitionBy", rules.checkPartitionExpression),
    targetFileSizeBytes: section.integer("targetFileSizeBytes", {
      fallback: 128 * MIB,
      min: 64 * 1024,
      max: 1024 * MIB,
    }),
    ...(location === undefined ? {} : { location }),
    properties: section.texts("properties", rules.checkProperty),
  };
  section.close();
  return target;
}

function readSchema(section: Section | undefined): Ingestion["schema"] {
  if (section === undefined) return SCHEMA_DEFAULTS;
  const policy = section.choice("policy", {
    values: ["evolve", "rescue", "hold", "fail"],
    fallback: SCHEMA_DEFAULTS.policy,
  });
  const schema = {
    policy: policy ?? SCHEMA_DEFAULTS.policy,
    hints: readTypes(section, "hints"),
    columns: readTypes(section, "columns"),
    inferTypes: section.boolean("inferTypes", SCHEMA_DEFAULTS.inferTypes),
    rescueShareMax: section.share("rescueShareMax", SCHEMA_DEFAULTS.rescueShareMax),
  };
  section.close();
  return schema;
}

function readTypes(section: Section, key: string): Readonly<Record<string, string>> {
  const texts = section.texts(key, rules.checkIcebergType);
  return Object.fromEntries(Object.entries(texts).map(([name, type]) => [name, rules.canonicalType(type)]));
}

function readBadRows(section: Section): Ingestion["badRows"] {
  const { onBadRow, shareMax } = BAD_ROW_DEFAULTS;
  const values = ["rescue", "quarantine", "reject_file"] as const;
  return {
    onBadRow: section.choice("onBadRow", { values, fallback: onBadRow }) ?? onBadRow,
    shareMax: section.share("badRowShareMax", shareMax),
  };
}

function readBatch(section: Section | undefined): Ingestion["batch"] {
  const filesMax = { fallback: 1000, min: 1, max: 10_000 };
  const bytesMax = { fallback: 1024 * MIB, min: MIB, max: LIMITS.batchBytesMax };
  const batch = {
    filesMax: section?.integer("filesMax", filesMax) ?? filesMax.fallback,
    bytesMax: section?.integer("bytesMax", bytesMax) ?? bytesMax.fallback,
  };
  section?.close();
  return batch;
}

/** A landing bucket nobody reads would get no notification, and files in it would wait forever. */
function checkUse(
  source: Source,
  file: Section,
  landing: readonly BucketConfig[],
  ingestions: readonly Ingestion[],
): void {
  const places = file.list("landing");
  for (const [index, { bucket }] of landing.entries()) {
    const used = ingestions.some((ingestion) => ingestion.source.bucket === bucket);
    const place = places[index];
    if (!used && place !== undefined) {
      source.add(place.node, place.path, `no ingestion reads "${bucket}"; remove it or add an ingestion`);
    }
  }
}
