// Buckets, objects and unfinished uploads: bytes as blob files, everything else in memory and in one journal on disk.
// Invariants: a change is applied in memory and journalled in one synchronous step, so a condition checked in the same step
// holds, and two racing writers see each other; a blob is complete before the journal names it; a blob being read is
// unlinked only after its last reader is done. Blob files have random names, so any key of any length is storable.
// An object is a list of segments (one per uploaded part): completing a multipart upload copies nothing.

import { randomUUID } from "node:crypto";
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlink,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { SortedKeys } from "./sorted-keys.ts";

export interface Segment {
  readonly blob: string;
  readonly sizeBytes: number;
}

export interface StoredObject {
  readonly key: string;
  readonly segments: readonly Segment[];
  readonly sizeBytes: number;
  /** Without quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
  /** Given back on GET and HEAD: content-type, x-amz-meta-*, x-amz-checksum-*. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface UploadPart {
  readonly number: number;
  readonly segment: Segment;
  /** Hex MD5. */
  readonly etag: string;
  readonly lastModifiedMs: number;
}

export interface Upload {
  readonly id: string;
  readonly bucket: string;
  readonly key: string;
  readonly startedMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Map<number, UploadPart>;
}

/** Notes whether somebody deleted the key while a conditional write was under way (S3 answers 409 then). */
export interface Watch {
  disturbed: boolean;
}

export interface Bucket {
  readonly name: string;
  readonly createdMs: number;
  readonly keys: SortedKeys;
  readonly objects: Map<string, StoredObject>;
  readonly watches: Map<string, Set<Watch>>;
}

type Change =
  | readonly ["bucket", string, number]
  | readonly ["bucket-gone", string]
  | readonly ["object", string, StoredObject]
  | readonly ["object-gone", string, string]
  | readonly ["upload", Omit<Upload, "parts">]
  | readonly ["part", string, UploadPart]
  /** Completed or aborted; the blobs of the named parts live on in an object. */
  | readonly ["upload-gone", string, readonly number[]];

const COMPACT_ABOVE_RECORDS = 1000;

export class S3Store {
  readonly buckets = new Map<string, Bucket>();
  readonly uploads = new Map<string, Upload>();
  readonly #folder: string;
  readonly #journalFile: string;
  #journal: number;
  readonly #pins = new Map<string, number>();
  readonly #doomed = new Set<string>();
  readonly #blobFolders = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
    this.#journalFile = join(folder, "journal.ndjson");
    mkdirSync(join(folder, "blobs"), { recursive: true });
    this.#replay();
    this.#journal = openSync(this.#journalFile, "a");
    this.#sweep();
  }

  close(): void {
    closeSync(this.#journal);
    this.#journal = -1;
  }

  createBucket(name: string, nowMs: number): void {
    this.#apply(["bucket", name, nowMs]);
  }

  deleteBucket(name: string): void {
    this.#apply(["bucket-gone", name]);
  }

  put(bucket: Bucket, object: StoredObject): void {
    this.#apply(["object", bucket.name, object]);
  }

  delete(bucket: Bucket, key: string): boolean {
    if (!bucket.objects.has(key)) return false;
    this.#apply(["object-gone", bucket.name, key]);
    return true;
  }

  startUpload(upload: Omit<Upload, "parts">): void {
    this.#apply(["upload", upload]);
  }

  addPart(upload: Upload, part: UploadPart): void {
    this.#apply(["part", upload.id, part]);
  }

  endUpload(upload: Upload, keptParts: readonly number[]): void {
    this.#apply(["upload-gone", upload.id, keptParts]);
  }

  watch(bucket: Bucket, key: string): { readonly watch: Watch; end(): void } {
    const watch: Watch = { disturbed: false };
    const watches = bucket.watches.get(key) ?? new Set();
    bucket.watches.set(key, watches.add(watch));
    return {
      watch,
      end() {
        watches.delete(watch);
        if (watches.size === 0 && bucket.watches.get(key) === watches) bucket.watches.delete(key);
      },
    };
  }

  newBlob(): { readonly blob: string; readonly file: string } {
    const blob = randomUUID();
    const folder = join(this.#folder, "blobs", blob.slice(0, 2));
    if (!this.#blobFolders.has(folder)) mkdirSync(folder, { recursive: true });
    this.#blobFolders.add(folder);
    return { blob, file: this.fileOf(blob) };
  }

  /** Keeps the bytes of an object readable until released, whatever happens to its key meanwhile. */
  pin(object: StoredObject): () => void {
    for (const { blob } of object.segments) this.#pins.set(blob, (this.#pins.get(blob) ?? 0) + 1);
    return () => {
      for (const { blob } of object.segments) this.#unpin(blob);
    };
  }

  /** Bytes `[start, end)` of a pinned object. */
  async *read(object: StoredObject, start: number, end: number): AsyncGenerator<Buffer> {
    let offset = 0;
    for (const { blob, sizeBytes } of object.segments) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, sizeBytes);
      if (from < to) yield* createReadStream(this.fileOf(blob), { start: from, end: to - 1 });
      offset += sizeBytes;
    }
  }

  #unpin(blob: string): void {
    const left = (this.#pins.get(blob) ?? 1) - 1;
    if (left > 0) this.#pins.set(blob, left);
    else this.#pins.delete(blob);
    if (left === 0 && this.#doomed.delete(blob)) unlink(this.fileOf(blob), () => {});
  }

  #drop(segments: readonly Segment[]): void {
    for (const { blob } of segments) {
      if (this.#pins.has(blob)) this.#doomed.add(blob);
      else unlink(this.fileOf(blob), () => {});
    }
  }

  #apply(change: Change): void {
    if (this.#journal === -1) throw new Error("the S3 store is closed");
    writeSync(this.#journal, `${JSON.stringify(change)}\n`);
    this.#drop(this.#mutate(change));
  }

  /** Applies a change in memory; returns the segments nothing names any more. */
  #mutate(change: Change): readonly Segment[] {
    switch (change[0]) {
      case "bucket": {
        const [, name, createdMs] = change;
        this.buckets.set(name, { name, createdMs, keys: new SortedKeys(), objects: new Map(), watches: new Map() });
        return [];
      }
      case "bucket-gone":
        this.buckets.delete(change[1]);
        return [];
      case "object": {
        const [, name, object] = change;
        const bucket = this.buckets.get(name);
        const old = bucket?.objects.get(object.key);
        bucket?.objects.set(object.key, object);
        bucket?.keys.add(object.key);
        return old?.segments ?? [];
      }
      case "object-gone": {
        const [, name, key] = change;
        const bucket = this.buckets.get(name);
        const old = bucket?.objects.get(key);
        bucket?.objects.delete(key);
        bucket?.keys.remove(key);
        for (const watch of bucket?.watches.get(key) ?? []) watch.disturbed = true;
        return old?.segments ?? [];
      }
      case "upload":
        this.uploads.set(change[1].id, { ...change[1], parts: new Map() });
        return [];
      case "part": {
        const [, id, part] = change;
        const parts = this.uploads.get(id)?.parts;
        const old = parts?.get(part.number);
        parts?.set(part.number, part);
        return old === undefined ? [] : [old.segment];
      }
      case "upload-gone": {
        const [, id, kept] = change;
        const parts = [...(this.uploads.get(id)?.parts.values() ?? [])];
        this.uploads.delete(id);
        return parts.filter((part) => !kept.includes(part.number)).map((part) => part.segment);
      }
    }
  }

  #replay(): void {
    if (!existsSync(this.#journalFile)) return;
    const lines = readFileSync(this.#journalFile, "utf8").split("\n");
    // What follows the last newline was being written when the machine stopped: it never happened.
    if (lines.pop() !== "")
      truncateSync(this.#journalFile, Buffer.byteLength(lines.map((line) => `${line}\n`).join("")));
    for (const line of lines) this.#mutate(JSON.parse(line) as Change);
    const live = this.#snapshot();
    if (lines.length < COMPACT_ABOVE_RECORDS + 2 * live.length) return;
    const fresh = `${this.#journalFile}.new`;
    writeFileSync(fresh, live.map((change) => `${JSON.stringify(change)}\n`).join(""));
    renameSync(fresh, this.#journalFile);
  }

  #snapshot(): Change[] {
    const changes: Change[] = [];
    for (const bucket of this.buckets.values()) {
      changes.push(["bucket", bucket.name, bucket.createdMs]);
      for (const object of bucket.objects.values()) changes.push(["object", bucket.name, object]);
    }
    for (const { parts, ...upload } of this.uploads.values()) {
      changes.push(["upload", upload]);
      for (const part of parts.values()) changes.push(["part", upload.id, part]);
    }
    return changes;
  }

  /** Removes blobs that no object and no upload names: leftovers of a crash. */
  #sweep(): void {
    const live = new Set<string>();
    for (const { objects } of this.buckets.values()) {
      for (const { segments } of objects.values()) for (const { blob } of segments) live.add(blob);
    }
    for (const { parts } of this.uploads.values()) for (const { segment } of parts.values()) live.add(segment.blob);
    const root = join(this.#folder, "blobs");
    for (const folder of readdirSync(root)) {
      for (const blob of readdirSync(join(root, folder))) {
        if (!live.has(blob)) rmSync(this.fileOf(blob), { force: true });
      }
    }
  }

  fileOf(blob: string): string {
    return join(this.#folder, "blobs", blob.slice(0, 2), blob);
  }
}
