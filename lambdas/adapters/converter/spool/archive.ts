// Zip and tar archives: the files in one are parts of one source. Names of members are only shown, never used as paths.
// A zip tells what it holds at its end, so it lies on disk whole before a member is read; a tar is read as it comes.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32 } from "node:zlib";
import { extract } from "tar-stream";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { MoraineError } from "../../../core/errors.ts";
import { shownName } from "../member-name.ts";
import { SpoolError } from "./spool-error.ts";

export type ArchiveKind = "zip" | "tar";

export interface Member {
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
}

const MEMBERS_MAX = 1000;
const TAR_BLOCK_BYTES = 512;
const TAR_MAGIC_AT = 257;
/** Stored and deflated: what every program writes unless it is told otherwise. */
const METHODS: ReadonlySet<number> = new Set([0, 8]);
const MADE_BY_UNIX = 3;
/** The kind of a file, in the four highest bits of its mode there. */
const UNIX_LINK = 0o12;
/** Bytes from which on the kind of an archive is known. */
export const ARCHIVE_HEAD_BYTES = TAR_BLOCK_BYTES;

export function archiveKindOf(start: Uint8Array): ArchiveKind | undefined {
  const head = Buffer.from(start.buffer, start.byteOffset, Math.min(start.byteLength, ARCHIVE_HEAD_BYTES));
  const first = head.toString("latin1", 0, 4);
  if (first === "PK\u0003\u0004" || first === "PK\u0005\u0006") return "zip";
  const isTar = head.toString("latin1", TAR_MAGIC_AT, TAR_MAGIC_AT + 5) === "ustar" && hasTarChecksum(head);
  return isTar ? "tar" : undefined;
}

/** The sum of the header's bytes, its own place taken as blanks. */
function hasTarChecksum(head: Buffer): boolean {
  const [from, to] = [148, 156];
  let sum = 0;
  for (const [i, byte] of head.entries()) sum += i >= from && i < to ? 0x20 : byte;
  return Number.parseInt(head.toString("latin1", from, to), 8) === sum;
}

export async function* tarMembers(body: AsyncIterable<Uint8Array>): AsyncGenerator<Member> {
  const reader = extract();
  const end = new TarEnd();
  const feeding = pipeline(Readable.from(end.watch(body), { objectMode: true }), reader);
  // Met again below, or by who reads the member.
  feeding.catch(() => undefined);
  const count = new Count();
  try {
    for await (const entry of reader) {
      const { name, type } = entry.header;
      const shown = shownName(name);
      if (type === "directory" || type?.startsWith("pax") === true || isNoData(name)) entry.resume();
      else if (type !== "file" && type !== "contiguous-file") {
        const kind = type === null ? "of a kind that is not known (sparse files are)" : `a ${type}, and no file`;
        throw new SpoolError("UNSUPPORTED_ARCHIVE", `member ${shown} is ${kind}; pack the file itself`);
      } else if (Object.hasOwn(entry.header.pax ?? {}, "GNU.sparse.major")) {
        throw new SpoolError("UNSUPPORTED_ARCHIVE", `member ${shown} is a sparse file; pack it without --sparse`);
      } else {
        count.add(name);
        yield { name, body: readable("tar", entry as AsyncIterable<Uint8Array>, end) };
      }
    }
    await feeding;
  } catch (error) {
    throw damaged("tar", error, end.failure);
  }
  if (!end.isThere) {
    throw new SpoolError("TRUNCATED", "the tar archive does not end in an empty block: it is cut off; upload it again");
  }
}

/** Watches for the empty block an archive ends with: without it, any number of members may be missing. */
class TarEnd {
  #tail = Buffer.alloc(0);
  failure: unknown;

  get isThere(): boolean {
    return this.#tail.length === TAR_BLOCK_BYTES && this.#tail.every((byte) => byte === 0);
  }

  async *watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body) {
        this.#tail = Buffer.concat([this.#tail, chunk.subarray(-TAR_BLOCK_BYTES)]).subarray(-TAR_BLOCK_BYTES);
        yield chunk;
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}

export async function* zipMembers(path: string): AsyncGenerator<Member> {
  let archive: ZipFile | undefined;
  const count = new Count();
  try {
    archive = await openPromise(path, { lazyEntries: true, autoClose: false, decodeStrings: false });
    for await (const entry of archive.eachEntry()) {
      const name = Buffer.from(entry.fileName as unknown as Uint8Array).toString("utf8");
      if (name.endsWith("/") || isNoData(name)) continue;
      refuseEntry(entry, name);
      count.add(name);
      yield { name, body: readable("zip", checked(archive, entry)) };
    }
  } catch (error) {
    throw damaged("zip", error, undefined);
  } finally {
    archive?.close();
  }
}

function refuseEntry(entry: Entry, name: string): void {
  const shown = shownName(name);
  if (entry.isEncrypted()) {
    throw new SpoolError("ENCRYPTED_ARCHIVE", `member ${shown} is encrypted; pack it without a password`);
  }
  if (entry.versionMadeBy >> 8 === MADE_BY_UNIX && entry.externalFileAttributes >>> 28 === UNIX_LINK) {
    throw new SpoolError("UNSUPPORTED_ARCHIVE", `member ${shown} is a symlink, and no file; pack the file itself`);
  }
  if (!METHODS.has(entry.compressionMethod)) {
    const message = `member ${shown} is compressed by method ${entry.compressionMethod}, which cannot be read; pack it with deflate`;
    throw new SpoolError("UNSUPPORTED_ARCHIVE", message);
  }
  if (name === "[Content_Types].xml") {
    throw new SpoolError("UNSUPPORTED_FORMAT", "an Office document (xlsx, docx); export its sheets as CSV");
  }
}

/** The library compares sizes, not the checksum. */
async function* checked(archive: ZipFile, entry: Entry): AsyncGenerator<Uint8Array> {
  let crc = 0;
  for await (const chunk of await archive.openReadStreamPromise(entry)) {
    crc = crc32(chunk as Buffer, crc);
    yield chunk as Buffer;
  }
  if (crc !== entry.crc32) throw new RangeError("checksum");
}

/** Whoever reads a member meets what is wrong with the archive. */
async function* readable(
  kind: ArchiveKind,
  body: AsyncIterable<Uint8Array>,
  received: { readonly failure: unknown } = { failure: undefined },
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw damaged(kind, error, received.failure);
  }
}

function damaged(kind: ArchiveKind, error: unknown, received: unknown): unknown {
  if (received !== undefined) return received;
  if (error instanceof SpoolError || error instanceof MoraineError) return error;
  return new SpoolError("DAMAGED_ARCHIVE", `the ${kind} archive is damaged or cut off; upload it again`);
}

/** What macOS adds: attributes of files, not their data. */
function isNoData(name: string): boolean {
  return name.startsWith("__MACOSX/") || /(?:^|\/)\._[^/]*$/.test(name);
}

class Count {
  readonly #names = new Set<string>();
  add(name: string): void {
    if (this.#names.has(name)) {
      const message = `holds ${shownName(name)} twice, and only one of them may be meant; pack each file once`;
      throw new SpoolError("DUPLICATE_MEMBER", message);
    }
    if (this.#names.add(name).size > MEMBERS_MAX) {
      throw new SpoolError("TOO_MANY_MEMBERS", `holds more than ${MEMBERS_MAX} files; upload them one by one`);
    }
  }
}
