// One table that Moraine writes, file by file, and what it must show at any moment: the rows of the files as they now are.

import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { draftField } from "../../lambdas/adapters/converter/types.ts";
import type { FormatOptions, Ingestion } from "../../lambdas/core/config.ts";
import { DEFAULT_DISCOVERY } from "../../lambdas/core/discovery/defaults.ts";
import { currentSchema } from "../../lambdas/core/iceberg/metadata.ts";
import type { DraftField } from "../../lambdas/core/iceberg/types.ts";
import type { IngestionId } from "../../lambdas/core/ids.ts";
import { BAD_ROW_DEFAULTS, SCHEMA_DEFAULTS } from "../../lambdas/core/schema/defaults.ts";
import type { Verdict } from "../../lambdas/core/schema/records.ts";
import { DATABASE, type Moraine } from "./moraine.ts";
import { type Predicate, select } from "./predicate.ts";
import { asJsonText, type Column, canonRows, JSON_TEXT, type Row, renderCsv, renderNdjson } from "./rows.ts";

/** What readers compare with. Rows name every column they have a value for; the others are null. */
export interface Expectation {
  readonly table: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Oldest first; the last one is current. */
  readonly snapshots: readonly Shown[];
  readonly predicates: readonly { readonly where: Predicate; readonly rows: readonly Row[] }[];
  /** Findings of Moraine's own checker. */
  readonly findings: readonly string[];
  /** Ledger status and reason, by key. */
  readonly files: Readonly<Record<string, string>>;
}

interface Shown {
  readonly snapshotId: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

interface SourceFile {
  readonly key: string;
  readonly body: string | Uint8Array;
  readonly rows: readonly Row[];
}

/** An object that is a row. */
interface LandedObject {
  readonly key: string;
  readonly body: Uint8Array;
  /** What only its name or its bytes can tell; the rest is the same for all. */
  readonly row: Row;
  /** Its row is of its event alone, and so is its date. */
  readonly unread: boolean;
}

export interface TableOptions {
  readonly name: string;
  readonly format?: FormatOptions;
  readonly partitionBy?: readonly string[];
  readonly hints?: Readonly<Record<string, string>>;
}

const NDJSON: FormatOptions = { type: "ndjson" };

export function ingestionOf({ name, format = NDJSON, partitionBy = [], hints = {} }: TableOptions): Ingestion {
  return {
    id: name as IngestionId,
    source: { bucket: "landing", prefix: `${name}/`, include: [], exclude: [] },
    format,
    compression: "auto",
    target: { database: DATABASE, table: name, partitionBy, targetFileSizeBytes: 128 * 1024 * 1024, properties: {} },
    schema: { ...SCHEMA_DEFAULTS, hints },
    badRows: BAD_ROW_DEFAULTS,
    onOverwrite: "replace",
    lineage: true,
    batch: { filesMax: 100, bytesMax: 1e9 },
    discovery: DEFAULT_DISCOVERY,
  };
}

export class WrittenTable {
  readonly name: { readonly database: string; readonly table: string };
  readonly #moraine: Moraine;
  readonly #ingestion: Ingestion;
  readonly #rows = new Map<string, readonly Row[]>();
  readonly #shown: Shown[] = [];

  constructor(moraine: Moraine, options: TableOptions) {
    this.#moraine = moraine;
    this.#ingestion = ingestionOf(options);
    this.name = { database: DATABASE, table: options.name };
    moraine.register(this.#ingestion);
  }

  /** Loads and commits these files, each rendered from its rows. A file of an earlier write is replaced. */
  async write(columns: readonly Column[], files: Readonly<Record<string, readonly Row[]>>): Promise<void> {
    const render = this.#ingestion.format.type === "csv" ? renderCsv : renderNdjson;
    await this.writeBodies(
      columns,
      Object.entries(files).map(([key, rows]) => ({ key, rows, body: render(columns, rows) })),
    );
  }

  async writeBodies(columns: readonly Column[], files: readonly SourceFile[]): Promise<void> {
    await this.#land(files);
    await this.#commit(asDeclared(await this.#fields(), columns, this.name.table));
  }

  /** Objects of a format that makes one row of each. */
  async writeObjects(columns: readonly Column[], objects: readonly LandedObject[]): Promise<void> {
    const files = objects.map(({ key, body, row, unread }) => {
      const path = `${this.#ingestion.id}/${key}`;
      const facts = {
        path: `s3://landing/${path}`,
        bucket: "landing",
        key: path,
        name: key.slice(key.lastIndexOf("/") + 1),
      };
      const etag = createHash("md5").update(body).digest("hex");
      return { key, body, unread, rows: [{ ...facts, size_bytes: String(body.length), etag, ...row }] };
    });
    await this.#land(files, ["modified_at"]);
    await this.#commit(asDeclared(await this.#fields(), columns, this.name.table));
  }

  /** Files whose records were written by somebody else: what they must show follows from the records and the table's types. */
  async writeRecords(files: readonly SourceFile[]): Promise<void> {
    await this.#land(files);
    const columns = (await this.#fields()).map(asJsonText);
    for (const [uri, rows] of this.#rows) this.#rows.set(uri, canonRows(rows, columns));
    await this.#commit(columns);
  }

  /** `dated`: columns that show what `_file_modified_at` does. */
  async #land(
    files: readonly (SourceFile & { unread?: boolean })[],
    dated: readonly string[] = [],
    outcome: "loaded" | "held" = "loaded",
  ): Promise<void> {
    const landed = new Map<string, { readonly rows: readonly Row[]; readonly lineage: Row }>();
    for (const { key, body, rows, unread = false } of files) {
      const { uri, modifiedMs, eventMs } = await this.#moraine.put(`${this.#ingestion.id}/${key}`, body);
      const modified = canonMs(unread ? eventMs : modifiedMs);
      const dates = Object.fromEntries(["_file_modified_at", ...dated].map((name) => [name, modified]));
      landed.set(uri, { rows, lineage: { _file_path: uri, ...dates } });
    }
    const { atMs, report } = await this.#moraine.load();
    if (report.outcomes[outcome] !== files.length)
      throw new Error(JSON.stringify(this.#moraine.files(this.name.table)));
    for (const [uri, { rows, lineage }] of landed) {
      const shown = rows.map((row) => ({ ...row, ...lineage, _ingested_at: canonMs(atMs) }));
      this.#rows.set(uri, shown);
    }
  }

  async #commit(columns: readonly Column[]): Promise<void> {
    const metadata = await this.#moraine.commit(this.name);
    const snapshotId = String(metadata["current-snapshot-id"]);
    this.#shown.push({ snapshotId, columns, rows: this.#now() });
  }

  /** Files that wait for a decision, and what they and the table show after it. `renamed`: columns of the rows that were there before. */
  async writeHeld(
    verdict: Verdict,
    columns: readonly Column[],
    files: readonly SourceFile[],
    renamed: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const before = [...this.#rows];
    await this.#land(files, [], "held");
    for (const [uri, rows] of before)
      this.#rows.set(
        uri,
        rows.map((row) => withNames(row, renamed)),
      );
    const released = await this.#moraine.decide(this.#ingestion, verdict);
    if (released !== files.length) throw new Error(`${released} files were released instead of ${files.length}`);
    const { atMs, report } = await this.#moraine.load();
    if (report.outcomes.loaded !== files.length) throw new Error(JSON.stringify(this.#moraine.files(this.name.table)));
    for (const { key } of files) {
      const uri = `s3://landing/${this.#ingestion.id}/${key}`;
      const rows = this.#rows.get(uri) ?? [];
      this.#rows.set(
        uri,
        rows.map((row) => ({ ...row, _ingested_at: canonMs(atMs) })),
      );
    }
    await this.#commit(asDeclared(await this.#fields(), columns, this.name.table));
  }

  /** A file that waits, and goes on waiting: its rows must not show. */
  async leaveHeld(key: string, body: string): Promise<void> {
    await this.#moraine.put(`${this.#ingestion.id}/${key}`, body);
    const { report } = await this.#moraine.load();
    if (report.outcomes.held !== 1) throw new Error(`${key} is not held: ${JSON.stringify(report.outcomes)}`);
  }

  /** A file that cannot be loaded: its rows must not show, and nobody else's must go. */
  async writeRefused(key: string, body: string): Promise<void> {
    await this.#moraine.put(`${this.#ingestion.id}/${key}`, body);
    const { report } = await this.#moraine.load();
    if (report.outcomes.failed !== 1) throw new Error(`${key} was not refused: ${JSON.stringify(report.outcomes)}`);
  }

  async expectation(predicates: readonly Predicate[] = []): Promise<Expectation> {
    const metadata = await this.#moraine.metadata(this.name);
    const kept = new Set(metadata.snapshots.map((snapshot) => String(snapshot["snapshot-id"])));
    const shown = this.#shown.at(-1);
    if (shown === undefined) throw new Error(`${this.name.table} was never written`);
    return {
      table: this.name.table,
      columns: shown.columns,
      rows: this.#now(),
      snapshots: this.#shown.filter(({ snapshotId }) => kept.has(snapshotId)),
      predicates: predicates.map((where) => ({ where, rows: select(this.#now(), shown.columns, where) })),
      findings: await this.#moraine.verify(this.name),
      files: this.#moraine.files(this.name.table),
    };
  }

  #now(): Row[] {
    return [...this.#rows.values()].flat();
  }

  async #fields(): Promise<DraftField[]> {
    return currentSchema(await this.#moraine.metadata(this.name)).fields.map(draftField);
  }
}

/** The table's columns; those that were declared must have become what they were declared to be. */
function asDeclared(fields: readonly DraftField[], declared: readonly Column[], table: string): Column[] {
  const types = new Map(declared.map(({ name, type }) => [name, type]));
  return fields.map(({ name, type }) => {
    const wanted = types.get(name) ?? type;
    const stored = wanted === JSON_TEXT ? "string" : wanted;
    if (!isDeepStrictEqual(stored, type)) {
      throw new Error(`${table}.${name} became ${JSON.stringify(type)}, not ${JSON.stringify(stored)}`);
    }
    return { name, type: wanted };
  });
}

function withNames(row: Row, renamed: Readonly<Record<string, string>>): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [renamed[name] ?? name, value]));
}

function canonMs(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}
