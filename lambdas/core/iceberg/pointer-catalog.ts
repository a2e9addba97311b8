// A catalog made of metadata files in the object store and a pointer with a compare-and-swap (Glue's UpdateTable with VersionId).
// Invariant: a metadata file is removed only when the swap said "conflict", that is, when it certainly is not the table.
// After any thrown error the file stays: it may be the table by now, and the sweeper can tell later.

import { isKind, MoraineError } from "../errors.ts";
import type { ObjectUri, TableName } from "../ids.ts";
import type {
  Catalog,
  Clock,
  CommitOutcome,
  LoadedTable,
  ObjectStore,
  Random,
  TableCommit,
  TablePointer,
} from "../ports.ts";
import { applyUpdates, checkRequirements, formatMetadata, parseMetadata } from "./metadata.ts";
import { readObject } from "./read-object.ts";
import type { TableMetadata } from "./types.ts";

export interface PointerCatalogPorts {
  readonly store: ObjectStore;
  readonly pointer: TablePointer;
  readonly clock: Clock;
  readonly random: Random;
}

/** Fewer than Java's 100: the log is rewritten with every commit, and ours decides nothing by it. */
const PREVIOUS_VERSIONS_MAX = 10;
/** A reader may be overtaken by a writer that removes old metadata files; being overtaken this often is something else. */
const LOAD_ATTEMPTS = 3;

export class PointerCatalog implements Catalog {
  readonly #ports: PointerCatalogPorts;

  constructor(ports: PointerCatalogPorts) {
    this.#ports = ports;
  }

  async load(name: TableName): Promise<LoadedTable | undefined> {
    let missing = "";
    for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
      const found = await this.#ports.pointer.read(name);
      if (found === undefined) return undefined;
      const { metadataLocation, token } = found;
      const bytes = await readObject(this.#ports.store, metadataLocation);
      if (bytes !== undefined)
        return { name, metadata: parseMetadata(bytes, metadataLocation), metadataLocation, token };
      if (missing === metadataLocation) break;
      missing = metadataLocation;
    }
    throw new MoraineError("Corrupt", "metadata file named by the catalog is not in the store", {
      table: `${name.database}.${name.table}`,
      file: missing,
    });
  }

  async create(name: TableName, metadata: TableMetadata): Promise<Awaited<ReturnType<Catalog["create"]>>> {
    const metadataLocation = await this.#write(metadata, 0, "");
    const outcome = await this.#ports.pointer.create(name, metadataLocation, metadata);
    if (outcome.kind === "created") {
      return { kind: "created", table: { name, metadata, metadataLocation, token: outcome.token } };
    }
    await this.#discard(metadataLocation);
    return outcome;
  }

  async commit(base: LoadedTable, commit: TableCommit): Promise<CommitOutcome> {
    if (checkRequirements(base.metadata, commit.requirements) !== undefined) return { kind: "conflict" };
    const updated = applyUpdates(base.metadata, commit.updates, this.#ports.clock.now());
    const metadata = withPreviousFile(updated, base);
    const metadataLocation = await this.#write(metadata, versionOf(base.metadataLocation) + 1, commit.folder);
    const next = { metadataLocation, previousLocation: base.metadataLocation, metadata };
    const outcome = await this.#ports.pointer.swap(base.name, base.token, next);
    if (outcome.kind === "swapped") {
      return { kind: "committed", table: { name: base.name, metadata, metadataLocation, token: outcome.token } };
    }
    await this.#discard(metadataLocation);
    return outcome;
  }

  async #write(metadata: TableMetadata, version: number, folder: string): Promise<ObjectUri> {
    const file = `${String(version).padStart(5, "0")}-${this.#ports.random.uuid()}.metadata.json`;
    const uri = [metadataFolderOf(metadata), folder, file].filter((part) => part !== "").join("/") as ObjectUri;
    // "exists" is our own write seen twice by a retry: nobody else knows this uuid.
    await this.#ports.store.put(uri, formatMetadata(metadata), { ifAbsent: true, contentType: "application/json" });
    return uri;
  }

  /** The outcome is known already, so a store that does not answer only leaves a file for the sweeper. */
  async #discard(uri: ObjectUri): Promise<void> {
    try {
      await this.#ports.store.remove([uri]);
    } catch (error) {
      if (!isKind(error, "Unavailable", "UnknownOutcome")) throw error;
    }
  }
}

function metadataFolderOf(metadata: TableMetadata): string {
  const folder = metadata.properties["write.metadata.path"] ?? `${metadata.location}/metadata`;
  return folder.replace(/\/+$/, "");
}

/** `00012-<uuid>.metadata.json` -> 12; -1 for names of another make, as in Java's BaseMetastoreTableOperations. */
export function versionOf(metadataLocation: string): number {
  const file = metadataLocation.slice(metadataLocation.lastIndexOf("/") + 1);
  const digits = /^(\d{1,9})-/.exec(file)?.[1];
  return digits === undefined ? -1 : Number(digits);
}

function withPreviousFile(metadata: TableMetadata, base: LoadedTable): TableMetadata {
  const entry = { "timestamp-ms": base.metadata["last-updated-ms"], "metadata-file": base.metadataLocation };
  const log = [...base.metadata["metadata-log"], entry];
  return { ...metadata, "metadata-log": log.slice(-previousVersionsMax(metadata)) };
}

function previousVersionsMax(metadata: TableMetadata): number {
  const text = metadata.properties["write.metadata.previous-versions-max"];
  const number = Number(text);
  return text === undefined || !Number.isSafeInteger(number) ? PREVIOUS_VERSIONS_MAX : Math.max(1, number);
}
