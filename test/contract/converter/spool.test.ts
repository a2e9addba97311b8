import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { DuckDbConverter } from "../../../lambdas/adapters/converter/duckdb-converter.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { objectUri } from "../../../lambdas/core/ids.ts";
import { addAll, convertAll, csv, jobOf, scratch, streamOf, useScratch } from "./harness.ts";

const work = useScratch();

const rowsOfCsv = (n: number) => `a,b\n${Array.from({ length: n }, (_, i) => `${i},text ${i}`).join("\n")}\n`;
/** Metadata that a decompressor must step over (RFC 8878, 3.1.2). */
const SKIPPABLE_FRAME = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
const SIZES: [string, string][] = [
  ["small", rowsOfCsv(3)],
  ["large", rowsOfCsv(60_000)],
];

test("zstd that needs more than its own bytes, or than memory, is refused with the remedy", async () => {
  const frame = (...header: readonly number[]) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...header, 9, 0, 0, 0x61]);
  const { loaded, failures } = await convertAll(work, jobOf(csv), {
    plain: frame(0, 0x38),
    "window of 1 GiB": frame(0, 20 << 3),
    dictionary: frame(1, 0x38, 7),
  });
  expect(loaded).toEqual({ 0: 0 });
  expect(failures).toMatchObject([
    { index: 1, reason: "UNSUPPORTED_COMPRESSION", message: expect.stringContaining("; compress it without --long") },
    { index: 2, reason: "UNSUPPORTED_COMPRESSION", message: expect.stringContaining("; compress it without one") },
  ]);
});

describe.each(SIZES)("a %s compressed file", (_, text) => {
  const lines = text.trim().split("\n").length - 1;

  test("is recognised by its bytes, whatever its name", async () => {
    const files = {
      "a.csv.gz": gzipSync(text),
      "b.csv": gzipSync(text),
      "c.csv.zst": zstdCompressSync(text),
      "d.dat": zstdCompressSync(text),
      "e.csv.gz": text,
    };
    const { loaded, failures } = await convertAll(work, jobOf(csv), files);
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: lines, 1: lines, 2: lines, 3: lines, 4: lines });
  });

  test("may be padded with zeros, but not hold data behind them", async () => {
    const zeros = Buffer.alloc(70_000);
    const { loaded, failures, rows } = await convertAll(work, jobOf(csv), {
      padded: Buffer.concat([gzipSync(text), zeros]),
      member: Buffer.concat([gzipSync(text), zeros, gzipSync("7,lost\n")]),
      byte: Buffer.concat([gzipSync(text), zeros.subarray(0, 1), Buffer.from("7,lost\n")]),
      appended: Buffer.concat([gzipSync(text), Buffer.from("7,lost\n")]),
    });
    expect(loaded).toEqual({ 0: lines });
    expect(rows).toHaveLength(lines);
    const end = gzipSync(text).length;
    expect(failures).toMatchObject([
      { index: 1, reason: "CORRUPT_COMPRESSION", byte: end + zeros.length },
      { index: 2, reason: "CORRUPT_COMPRESSION", byte: end + 1 },
      { index: 3, reason: "CORRUPT_COMPRESSION" },
    ]);
    expect(failures[0]?.message).toContain("; compress the file as a whole");
  });

  test("may be several compressed parts one after the other", async () => {
    const half = text.indexOf("\n", text.length / 2) + 1;
    const parts = [text.slice(0, half), text.slice(half)];
    const files = {
      "a.gz": Buffer.concat(parts.map((part) => gzipSync(part))),
      "b.zst": Buffer.concat(parts.map((part) => zstdCompressSync(part))),
      "c.zst": Buffer.concat([SKIPPABLE_FRAME, ...parts.flatMap((part) => [zstdCompressSync(part), SKIPPABLE_FRAME])]),
    };
    const { loaded, failures } = await convertAll(work, jobOf(csv), files);
    expect(failures).toEqual([]);
    expect(loaded).toEqual({ 0: lines, 1: lines, 2: lines });
  });

  test("that is cut off or damaged fails, and leaves no row of what could be read", async () => {
    const [gzip, zstd] = [gzipSync(text), zstdCompressSync(text)];
    const damaged = Buffer.from(gzip);
    damaged.fill(0x55, damaged.length >> 1, (damaged.length >> 1) + 8);
    const files = {
      "cut.gz": gzip.subarray(0, gzip.length - 9),
      "cut.zst": zstd.subarray(0, zstd.length - 5),
      "damaged.gz": damaged,
      "good.csv": text,
    };
    const { loaded, failures, rows } = await convertAll(work, jobOf(csv), files);
    expect(failures.map(({ index, reason }) => [index, reason])).toEqual([
      [0, "TRUNCATED"],
      [1, "TRUNCATED"],
      // Damage can look like an early end.
      [2, expect.stringMatching(/^(CORRUPT_COMPRESSION|TRUNCATED)$/)],
    ]);
    expect(loaded).toEqual({ 3: lines });
    expect(rows).toHaveLength(lines);
  });

  test("is refused when the ingestion says another compression", async () => {
    const { failures } = await convertAll(work, jobOf(csv, { compression: "gzip" }), {
      "a.gz": text,
      "b.gz": zstdCompressSync(text),
    });
    expect(failures.map(({ reason }) => reason)).toEqual(["NOT_COMPRESSED", "NOT_COMPRESSED"]);
  });
});

describe("text", () => {
  const words = "name,n\nÄpfel – 日本 😀,1\n";

  test.each([
    ["UTF-8 with a byte order mark", Buffer.from(`\ufeff${words}`), "utf-8"],
    [
      "UTF-16 little endian with a mark, although the ingestion says utf-8",
      Buffer.from(`\ufeff${words}`, "utf16le"),
      "utf-8",
    ],
    ["UTF-16 big endian with a mark", Buffer.from(`\ufeff${words}`, "utf16le").swap16(), "utf-16"],
    ["UTF-16 without a mark", Buffer.from(words, "utf16le"), "utf-16"],
  ] as const)("in %s is read", async (_, bytes, encoding) => {
    const { rows, failures } = await convertAll(work, jobOf({ ...csv, encoding }), { "a.csv": bytes });
    expect(failures).toEqual([]);
    expect(rows).toEqual([{ name: "Äpfel – 日本 😀", n: 1n }]);
  });

  test("in latin-1 is read when the ingestion says so, also cut into single bytes on the way", async () => {
    const conversion = await work.converter.start(jobOf({ ...csv, encoding: "latin-1" }));
    const bytes = Buffer.from("name\nÄpfel\n", "latin1");
    const source = { index: 0, uri: objectUri("b", "k"), etag: "e", sizeBytes: bytes.length, lastModifiedMs: 0 };
    expect(await conversion.add(source, streamOf(bytes, 1))).toBeUndefined();
    expect((await conversion.inspect(undefined)).fields).toEqual([{ name: "name", type: "string" }]);
    await conversion.close();
  });
});

describe("limits", () => {
  test("a file that unfolds to hundreds of times its size is refused before it fills the disk", async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, "a,b\n"), { level: 9 });
    const { failures } = await convertAll(work, jobOf(csv), { "bomb.csv.gz": bomb });
    expect(failures).toMatchObject([{ index: 0, reason: "DECOMPRESSION_BOMB" }]);
  });

  test("a file that can never fit is refused; one that came to a full disk may come again", async () => {
    const small = await scratch({ diskBytesMax: 1024 * 1024 });
    const text = rowsOfCsv(40_000);
    const alone = await convertAll(small, jobOf(csv), { "a.csv": rowsOfCsv(120_000) });
    expect(alone.failures).toMatchObject([{ index: 0, reason: "TOO_LARGE" }]);
    const conversion = await small.converter.start(jobOf(csv));
    const error = await addAll(conversion, { "a.csv": text, "b.csv": text }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MoraineError);
    expect((error as MoraineError).kind).toBe("Unavailable");
    await conversion.close();
    await small.remove();
  });

  test("an error of the store is thrown as it is, and is no fault of the file", async () => {
    const conversion = await work.converter.start(jobOf(csv));
    const broken = new MoraineError("Unavailable", "connection lost");
    async function* body(): AsyncGenerator<Uint8Array> {
      yield gzipSync("a,b\n1,2\n").subarray(0, 10);
      throw broken;
    }
    for (const sizeBytes of [100, 10_000_000]) {
      const source = { index: 0, uri: objectUri("b", "k.gz"), etag: "e", sizeBytes, lastModifiedMs: 0 };
      await expect(conversion.add(source, body())).rejects.toBe(broken);
    }
    await conversion.close();
  });

  test("closing leaves nothing of a conversion behind but small files that the next one overwrites", async () => {
    const mine = await scratch();
    for (let round = 0; round < 3; round++) {
      const noise = randomBytes(200_000).toString("hex");
      await convertAll(mine, jobOf(csv), { "small.csv": rowsOfCsv(round + 1), "large.csv": `a,b\n1,${noise}\n` });
    }
    const left = readdirSync(mine.directory, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(left).toHaveLength(1);
    expect(statSync(`${left[0]?.parentPath}/${left[0]?.name}`).size).toBe(rowsOfCsv(3).length);
    await mine.remove();
  });

  test("what a dead process left in the work directory is removed, what a living one has is not", async () => {
    const root = await mkdtemp(join(tmpdir(), "moraine-converter-"));
    const started = Math.trunc(performance.timeOrigin);
    const dead = [`converter-${process.pid}-${started - 1}-a`, "converter-999999999-1-b"];
    const kept = [`converter-${process.ppid}-1-c`, `converter-${process.pid}-${started}-d`, "else"];
    for (const name of [...dead, ...kept]) mkdirSync(`${root}/${name}`);
    new DuckDbConverter({ workDir: root, memoryLimitBytes: 1024 ** 3, threads: 1, diskBytesMax: 1024 ** 3 });
    const left = readdirSync(root);
    expect(left.filter((name) => dead.includes(name))).toEqual([]);
    expect(left.filter((name) => kept.includes(name))).toHaveLength(kept.length);
    await rm(root, { recursive: true });
  });

  test("a source cannot make DuckDB read or write outside the work directory", async () => {
    const hostile = `x'), read_text('/etc/passwd`;
    const { rows, failures } = await convertAll(work, jobOf(csv), {
      [`${hostile}.csv`]: `"${hostile}"\n"${hostile}"\n`,
    });
    expect(failures).toEqual([]);
    expect(rows).toEqual([{ [hostile]: hostile }]);
  });
});
