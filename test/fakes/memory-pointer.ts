// Glue as the port sees it: one pointer per table with a compare-and-swap. Version ids start over when a table is dropped
// and made again, as Glue's do, so a token alone does not name a table. Names are lower-cased.

import { MoraineError } from "../../lambdas/core/errors.ts";
import type { TableMetadata } from "../../lambdas/core/iceberg/types.ts";
import { type ObjectUri, type TableId, type TableName, tableIdOf } from "../../lambdas/core/ids.ts";
import type { TablePointer } from "../../lambdas/core/ports.ts";

export interface StoredPointer {
  readonly metadataLocation: ObjectUri;
  readonly previousLocation: ObjectUri | undefined;
  readonly metadata: TableMetadata;
  readonly version: number;
}

export class MemoryPointer implements TablePointer {
  readonly tables = new Map<TableId, StoredPointer>();
  readonly calls = new Map<string, number>();
  readonly #databases: ReadonlySet<string> | undefined;

  /** `databases`: those that exist; without it, all do. */
  constructor(databases?: Iterable<string>) {
    this.#databases = databases && new Set(databases);
  }

  async read(name: TableName): Promise<{ readonly metadataLocation: ObjectUri; readonly token: string } | undefined> {
    this.#count("read");
    const table = this.tables.get(idOf(name));
    return table && { metadataLocation: table.metadataLocation, token: String(table.version) };
  }

  async create(
    name: TableName,
    metadataLocation: ObjectUri,
    metadata: TableMetadata,
  ): Promise<{ readonly kind: "created"; readonly token: string } | { readonly kind: "exists" }> {
    this.#count("create");
    if (this.#databases?.has(name.database.toLowerCase()) === false) {
      throw new MoraineError("Invalid", "the database does not exist: create it", { database: name.database });
    }
    if (this.tables.has(idOf(name))) return { kind: "exists" };
    const copy = structuredClone(metadata);
    this.tables.set(idOf(name), { metadataLocation, previousLocation: undefined, metadata: copy, version: 1 });
    return { kind: "created", token: "1" };
  }

  async swap(
    name: TableName,
    token: string,
    next: {
      readonly metadataLocation: ObjectUri;
      readonly previousLocation: ObjectUri;
      readonly metadata: TableMetadata;
    },
  ): Promise<{ readonly kind: "swapped"; readonly token: string } | { readonly kind: "conflict" }> {
    this.#count("swap");
    const table = this.tables.get(idOf(name));
    if (table === undefined || String(table.version) !== token) return { kind: "conflict" };
    if (table.metadataLocation !== next.previousLocation) return { kind: "conflict" };
    const version = table.version + 1;
    this.tables.set(idOf(name), { ...structuredClone(next), version });
    return { kind: "swapped", token: String(version) };
  }

  /** For tests: what somebody with DROP TABLE does. */
  drop(name: TableName): void {
    this.tables.delete(idOf(name));
  }

  #count(method: string): void {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
  }
}

function idOf(name: TableName): TableId {
  return tableIdOf({ database: name.database.toLowerCase(), table: name.table.toLowerCase() });
}
