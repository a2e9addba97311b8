// How a table looks to people in Glue's console: Iceberg's current columns, then those of older schemas, in Hive's words.
// For display only: engines read the metadata file. Mapping and parameter names are those of Iceberg's own Glue catalog
// (org.apache.iceberg.aws.glue.IcebergToGlueConverter), so that no engine's writes and ours take turns rewriting them.

import type { Column } from "@aws-sdk/client-glue";
import type { NestedField, TableMetadata, Type } from "../core/iceberg/types.ts";

/** https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html */
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
      const name = field.name.toLowerCase();
      if (!columns.has(name)) columns.set(name, columnOf(field, isCurrent(schema["schema-id"])));
    }
  }
  return [...columns.values()];
}

function columnOf(field: NestedField, current: boolean): Column {
  const type = glueType(field.type);
  return {
    Name: field.name,
    Type: type.length > TYPE_CHARACTERS_MAX ? "string" : type,
    ...(field.doc === undefined ? {} : { Comment: field.doc.slice(0, COMMENT_CHARACTERS_MAX) }),
    Parameters: {
      "iceberg.field.id": String(field.id),
      "iceberg.field.optional": String(!field.required),
      "iceberg.field.current": String(current),
    },
  };
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
