// How a table looks to people in Glue's console: Iceberg's current columns, then those of older schemas, in Hive's words.
// For display only: engines read the metadata file. Mapping and parameter names are those of Iceberg's own Glue catalog
// (org.apache.iceberg.aws.glue.IcebergToGlueConverter), so that no engine's writes and ours take turns rewriting them.

import type { Column } from "@aws-sdk/client-glue";
import type { NestedField, TableMetadata, Type } from "../core/iceberg/types.ts";

/** https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html */
const NAME_BYTES_MAX = 255;
const TYPE_CHARACTERS_MAX = 131_072;
const COMMENT_CHARACTERS_MAX = 255;

export function glueColumns(metadata: TableMetadata): Column[] {
  const isCurrent = (schemaId: number) => schemaId === metadata["current-schema-id"];
  const schemas = metadata.schemas.toSorted(
    (a, b) => Number(isCurrent(b["schema-id"])) - Number(isCurrent(a["schema-id"])),
  );
  const columns = new Map<string, Column>();
  for (const schema of schemas) {
    for (const field of schema.fields) {
      // Glue does not tell names apart by case; the current schema comes first and keeps its name.
      const name = glueName(field).toLowerCase();
      if (!columns.has(name)) columns.set(name, columnOf(field, isCurrent(schema["schema-id"])));
    }
  }
  return [...columns.values()];
}

function columnOf(field: NestedField, current: boolean): Column {
  const type = glueType(field.type);
  return {
    Name: glueName(field),
    Type: type.length > TYPE_CHARACTERS_MAX ? "string" : type,
    ...(field.doc === undefined ? {} : { Comment: field.doc.slice(0, COMMENT_CHARACTERS_MAX) }),
    Parameters: {
      "iceberg.field.id": String(field.id),
      "iceberg.field.optional": String(!field.required),
      "iceberg.field.current": String(current),
    },
  };
}

/** Glue refuses long names, line breaks and empty ones; the table keeps them, and shows them here cut, with the field's id to tell them apart. */
function glueName({ id, name }: NestedField): string {
  const plain = name.replace(/[^\t -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "_");
  if (plain === name && name !== "" && Buffer.byteLength(name) <= NAME_BYTES_MAX) return name;
  const suffix = `_${id}`;
  let cut = plain.slice(0, NAME_BYTES_MAX - suffix.length);
  while (Buffer.byteLength(cut + suffix) > NAME_BYTES_MAX) cut = [...cut].slice(0, -1).join("");
  return cut + suffix;
}

export function glueType(type: Type): string {
  if (typeof type === "string") return primitive(type);
  if (type.type === "struct") return `struct<${type.fields.map((f) => `${f.name}:${glueType(f.type)}`).join(",")}>`;
  if (type.type === "list") return `array<${glueType(type.element)}>`;
  return `map<${glueType(type.key)},${glueType(type.value)}>`;
}

const HIVE: Readonly<Record<string, string>> = {
  long: "bigint",
  time: "string",
  timestamptz: "timestamp",
  uuid: "string",
};

function primitive(type: string): string {
  if (type.startsWith("fixed")) return "binary";
  if (type.startsWith("decimal")) return type.replaceAll(" ", "");
  return HIVE[type] ?? type;
}
