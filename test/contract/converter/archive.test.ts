import { deflateRawSync, gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { type ZipEntry, zip } from "../../../lib/zip.ts";
import { addAll, type Bytes, type Converted, convertAll, csv, jobOf, scratch, useScratch } from "./harness.ts";

const work = useScratch();

type Files = Readonly<Record<string, Bytes>>;
const job = jobOf(csv);
const good = "id\n100\n";
const table = (...ids: readonly number[]) => `id\n${ids.join("\n")}\n`;
const idsOf = ({ rows }: Converted) => rows.map(({ id }) => Number(id)).sort((a, b) => a - b);

function zipOf(files: Files): Buffer {
  const entries = Object.entries(files).map(
    ([name, bytes]): ZipEntry => ({ name, bytes: new Uint8Array(Buffer.from(bytes as string)) }),
  );
  return Buffer.from(zip(entries));
}

async function tarOf(
  files: Files,
  more: readonly { readonly name: string; readonly type: "symlink" | "directory" }[] = [],
) {
  const archive = pack();
  for (const header of more) archive.entry({ ...header, ...(header.type === "symlink" ? { linkname: "x" } : {}) });
  for (const [name, bytes] of Object.entries(files)) archive.entry({ name }, Buffer.from(bytes as string));
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const KINDS: readonly (readonly [string, (files: Files) => Promise<Buffer>])[] = [
  ["zip", async (files) => zipOf(files)],
  ["tar", tarOf],
  ["tar.gz", async (files) => gzipSync(await tarOf(files))],
  ["tar.zst", async (files) => zstdCompressSync(await tarOf(files))],
];

describe.each(KINDS)("a %s archive", (kind, archiveOf) => {
  test("is recognised by its bytes, and all its files are rows of one source", async () => {
    const files = { "a.csv": table(1, 2), "sub/b.csv": table(3), "c.csv.gz": gzipSync(table(4)), "empty.csv": "" };
    const archive = await archiveOf(files);
    const converted = await convertAll(work, { ...job, lineage: true }, { "x.dat": archive, "good.csv": good });
    expect(converted.failures).toEqual([]);
    expect(converted.loaded).toEqual({ 0: 4, 1: 1 });
    expect(idsOf(converted)).toEqual([1, 2, 3, 4, 100]);
    expect(converted.result.loaded[0]?.bytesRead).toBe(archive.length);
    const paths = converted.rows.filter(({ id }) => id !== 100n).map((row) => row["_file_path"]);
    expect(new Set(paths)).toEqual(new Set(["s3://landing/x.dat"]));
  });

  test("fails whole when one of its files does, and names it", async () => {
    const archive = await archiveOf({ "a.csv": table(1), "bad.csv": 'id\n"x\n', "c.csv": table(2) });
    const converted = await convertAll(work, job, { x: archive, "good.csv": good });
    expect(converted.failures).toMatchObject([{ index: 0 }]);
    expect(converted.failures[0]?.message).toContain('member "bad.csv": ');
    expect(idsOf(converted)).toEqual([100]);
  });

  test("fails whole when a file in it does not fit the table, found by who reads it", async () => {
    const text = jobOf({ type: "ndjson" });
    const archive = await archiveOf({ "a.json": '{"id":1}\n', "b.json": '{"id":2}\n{"id":}\n' });
    const converted = await convertAll(work, text, { x: archive, "good.json": '{"id":100}\n' });
    expect(converted.failures).toMatchObject([{ index: 0, reason: "MALFORMED_JSON", line: 2 }]);
    expect(converted.failures[0]?.message).toContain('member "b.json": ');
    expect(idsOf(converted)).toEqual([100]);
  });

  test("leaves out what is no data, and without files has no rows", async () => {
    const junk = { "__MACOSX/._a.csv": "junk", "._b.csv": "junk" };
    const converted = await convertAll(work, job, {
      some: await archiveOf({ ...junk, "a.csv": table(1) }),
      junk: await archiveOf(junk),
      // A tar without anything is a file of NULs.
      ...(kind === "zip" ? { none: zipOf({}) } : {}),
    });
    expect(converted.failures).toEqual([]);
    expect(converted.loaded).toEqual({ 0: 1, 1: 0, ...(kind === "zip" ? { 2: 0 } : {}) });
  });

  test("that is cut off or damaged fails, and leaves no row", async () => {
    const files = { "a.csv": table(1), "b.csv": `id\n${"7\n".repeat(3000)}` };
    const archive = await archiveOf(files);
    for (const share of [0.3, 0.6, 0.9, 0.99]) {
      const cut = archive.subarray(0, Math.floor(archive.length * share));
      const converted = await convertAll(work, job, { cut, "good.csv": good });
      expect(idsOf(converted)).toEqual([100]);
      expect(converted.failures[0]?.message).toMatch(/; (upload|set) /);
    }
  });

  test("in another one is refused, as are too many files", async () => {
    const nested = await archiveOf({ "in.zip": zipOf({ "a.csv": table(1) }) });
    const many = await archiveOf(Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`${i}.csv`, table(i)])));
    const { failures } = await convertAll(work, job, { nested, many, "good.csv": good });
    expect(failures).toMatchObject([{ reason: "NESTED_ARCHIVE" }, { reason: "TOO_MANY_MEMBERS" }]);
    expect(failures[0]?.message).toContain('member "in.zip"');
  });

  test("is bounded over all its files together", async () => {
    const zeros = Buffer.alloc(30 * 1024 * 1024, "0");
    const archive = await archiveOf({ "a.csv": zeros, "b.csv": zeros, "c.csv": zeros });
    const small = await scratch({ diskBytesMax: 70 * 1024 * 1024 });
    try {
      const { failures } = await convertAll(small, job, { x: archive, "good.csv": good });
      expect(failures[0]?.reason).toMatch(/^(DECOMPRESSION_BOMB|TOO_LARGE)$/);
      const again = await convertAll(small, job, { "good.csv": good });
      expect(idsOf(again)).toEqual([100]);
    } catch (error) {
      // What one file alone would fit in goes to another batch.
      expect(kind).not.toBe("zip");
      expect(String(error)).toContain("work directory is full");
    } finally {
      await small.remove();
    }
  });
});

describe("archives", () => {
  test("a name is only shown: cut, and without anything that is no plain character", async () => {
    const name = `../../etc/\u001b[31m${"long".repeat(40)}.csv`;
    for (const archive of [zipOf({ [name]: 'id\n"x\n' }), await tarOf({ [name]: 'id\n"x\n' })]) {
      const { failures } = await convertAll(work, job, { archive });
      expect(failures[0]?.message).toContain('member "../../etc/\\u001b[31m');
      expect(failures[0]?.message.length).toBeLessThan(250);
    }
  });

  test("links in a tar are refused, directories are not", async () => {
    const { failures, loaded } = await convertAll(work, job, {
      link: await tarOf({ "a.csv": table(1) }, [{ name: "l", type: "symlink" }]),
      folder: await tarOf({ "a.csv": table(1) }, [{ name: "d", type: "directory" }]),
    });
    expect(failures).toMatchObject([{ index: 0, reason: "UNSUPPORTED_ARCHIVE" }]);
    expect(loaded).toEqual({ 1: 1 });
  });

  test("an encrypted file, a workbook, a wrong checksum and other compressions are refused with a remedy", async () => {
    const encrypted = zipOf({ "a.csv": table(1) });
    encrypted[6] = 1;
    encrypted[encrypted.readUInt32LE(encrypted.length - 6) + 8] = 1;
    const wrong = zipOf({ "a.csv": table(1) });
    const directory = wrong.readUInt32LE(wrong.length - 6);
    wrong[directory + 16] = (wrong[directory + 16] as number) ^ 1;
    const bzip2 = Buffer.from("425a6839314159265359000000", "hex");
    const { failures } = await convertAll(work, job, {
      encrypted,
      workbook: zipOf({ "[Content_Types].xml": "<x/>" }),
      wrong,
      bzip2,
      xz: Buffer.from("fd377a585a000000000000", "hex"),
      "good.csv": good,
    });
    expect(failures.map(({ reason }) => reason)).toEqual([
      "ENCRYPTED_ARCHIVE",
      "UNSUPPORTED_FORMAT",
      "DAMAGED_ARCHIVE",
      "UNSUPPORTED_COMPRESSION",
      "UNSUPPORTED_COMPRESSION",
    ]);
    for (const { message } of failures) expect(message).toMatch(/; (pack|export|upload|compress) /);
  });

  test("a link in a zip and files packed by other methods are refused with a remedy", async () => {
    const changed = (at: number, value: number) => {
      const bytes = zipOf({ "a.csv": table(1), "b.csv": "a.csv" });
      const first = bytes.readUInt32LE(bytes.length - 6);
      const second = bytes.indexOf("PK\u0001\u0002", first + 4);
      bytes.writeUInt16LE(value, second + at);
      return bytes;
    };
    const { failures, rows } = await convertAll(work, job, {
      link: changed(40, 0o120777),
      lzma: changed(10, 14),
      "good.csv": good,
    });
    expect(failures).toMatchObject([
      {
        index: 0,
        reason: "UNSUPPORTED_ARCHIVE",
        message: 'member "b.csv" is a symlink, and no file; pack the file itself',
      },
      { index: 1, reason: "UNSUPPORTED_ARCHIVE" },
    ]);
    expect(failures[1]?.message).toContain("method 14, which cannot be read; pack it with deflate");
    expect(rows).toEqual([{ id: 100n }]);
  });

  test("a sparse file in a tar is refused: its bytes do not lie where they belong", async () => {
    const archive = pack();
    const pax = { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.csv" };
    archive.entry({ name: "GNUSparseFile.0/a.csv", pax }, "1\n0\n3\nid\n1\n");
    archive.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    const { failures, rows } = await convertAll(work, job, { sparse: Buffer.concat(chunks), "good.csv": good });
    expect(failures).toMatchObject([{ index: 0, reason: "UNSUPPORTED_ARCHIVE" }]);
    expect(failures[0]?.message).toContain("; pack it without --sparse");
    expect(rows).toEqual([{ id: 100n }]);
  });

  test("a file that is in one twice is refused: an older one was replaced, or both are meant", async () => {
    const twice = [table(1), table(2)].map((text) => ({ name: "a.csv", bytes: new Uint8Array(Buffer.from(text)) }));
    const archive = pack();
    for (const { name, bytes } of twice) archive.entry({ name }, Buffer.from(bytes));
    archive.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    const files = { zip: Buffer.from(zip(twice)), tar: Buffer.concat(chunks), "good.csv": good };
    const { failures, rows } = await convertAll(work, job, files);
    expect(failures.map(({ reason }) => reason)).toEqual(["DUPLICATE_MEMBER", "DUPLICATE_MEMBER"]);
    expect(failures[0]?.message).toContain('holds "a.csv" twice');
    expect(rows).toEqual([{ id: 100n }]);
  });

  test("are refused where the ingestion says another thing, and hold any format", async () => {
    const tar = await tarOf({ "a.json": '{"id":1}\n', "b.json": '{"id":2}\n' });
    const asZip = await convertAll(work, jobOf({ type: "ndjson" }, { compression: "zip" }), { a: tar, b: "{}" });
    expect(asZip.failures.map(({ reason }) => reason)).toEqual(["NOT_COMPRESSED", "NOT_COMPRESSED"]);
    const asTar = await convertAll(work, jobOf({ type: "ndjson" }, { compression: "tar" }), {
      a: tar,
      b: gzipSync(tar),
    });
    expect(asTar.loaded).toEqual({ 0: 2, 1: 2 });
    expect((await convertAll(work, jobOf({ type: "ndjson" }, { compression: "tar" }), { a: "" })).loaded).toEqual({
      0: 0,
    });
    const known = { known: asTar.schema };
    expect((await convertAll(work, jobOf({ type: "ndjson" }), { a: tar }, known)).loaded).toEqual({ 0: 2 });
  });

  test("a text that begins like one is a text", async () => {
    const deflated = deflateRawSync("x").toString("latin1");
    const { loaded } = await convertAll(work, job, { "a.csv": "BZh9,PK\n1,2\n", "b.csv": `id\n${deflated.length}\n` });
    expect(loaded).toEqual({ 0: 1, 1: 1 });
  });

  test("leave nothing behind in the work directory's budget when they fail", async () => {
    const small = await scratch({ diskBytesMax: 3 * 1024 * 1024 });
    try {
      const conversion = await small.converter.start(job);
      const bad = zipOf({ "a.csv": `id\n${"1234567\n".repeat(100_000)}`, "in.zip": zipOf({}) });
      for (let round = 0; round < 8; round++) {
        const failures = await addAll(conversion, { bad });
        expect(failures).toMatchObject([{ reason: "NESTED_ARCHIVE" }]);
      }
      await conversion.close();
    } finally {
      await small.remove();
    }
  });
});
