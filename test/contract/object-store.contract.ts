// What every object store must do. Runs against the fake and against the S3 adapter: what holds here may be relied on in core.

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isKind } from "../../lambdas/core/errors.ts";
import type { ObjectUri } from "../../lambdas/core/ids.ts";
import type { GetOutcome, ObjectStore, PutBody } from "../../lambdas/core/ports.ts";
import { collect } from "./collect.ts";

export interface ObjectStoreUnderTest {
  readonly store: ObjectStore;
  /** Name of an empty bucket. */
  readonly bucket: string;
  close(): Promise<void>;
}

const text = (words: string) => new TextEncoder().encode(words);

/** Keys that have broken clients: reserved characters, what XML or URLs rewrite, empty folders, dots, all planes. */
const ODD_KEYS = [
  "a b c",
  "plus+plus",
  "percent%20and%2Fslash",
  "quotes\"and'apostrophes",
  "double//slash",
  "/leading",
  "trailing/",
  "..//./dots",
  "é à ü",
  "日本語/файл",
  "emoji 😀",
  "a&b<c>d",
  "question?and#hash",
  "star*{}[]|\\^`~",
  "colon:semi;comma,at@dollar$equals=",
  "tab\tand\nnewline",
  `long-${"x".repeat(900)}`,
];

export function objectStoreContract(subject: string, open: () => Promise<ObjectStoreUnderTest>): void {
  describe(`object store: ${subject}`, () => {
    let under: ObjectStoreUnderTest;
    let folders = 0;
    const folder = () => `s3://${under.bucket}/f${folders++}/`;
    const at = (root: string, key: string) => `${root}${key}` as ObjectUri;

    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under?.close());

    test("what was put is what is got, under one unquoted etag everywhere", async () => {
      const root = folder();
      const stored = await under.store.put(at(root, "a.json"), text("hello"), { contentType: "application/json" });
      if (stored.kind !== "stored") throw new Error(stored.kind);
      expect(stored.etag).toMatch(/^[^"]+$/);
      const got = await under.store.get(at(root, "a.json"));
      if (got.kind !== "found") throw new Error(got.kind);
      expect(got).toMatchObject({ etag: stored.etag, sizeBytes: 5 });
      expect(await bytesOf(got)).toEqual(Buffer.from("hello"));
      expect(await listed(under.store, root)).toEqual([
        { uri: at(root, "a.json"), etag: stored.etag, sizeBytes: 5, lastModifiedMs: got.lastModifiedMs },
      ]);
    });

    test("a version that has been replaced is reported as changed, never served", async () => {
      const uri = at(folder(), "versioned");
      const first = await under.store.put(uri, text("one"));
      const second = await under.store.put(uri, text("two"));
      if (first.kind !== "stored" || second.kind !== "stored") throw new Error("not stored");
      expect(second.etag).not.toBe(first.etag);
      expect(await under.store.get(uri, { ifMatch: first.etag })).toEqual({ kind: "changed" });
      expect(await bytesOf(await under.store.get(uri, { ifMatch: second.etag }))).toEqual(Buffer.from("two"));
    });

    test("a range is those bytes of the object, cut at its end, under the whole object's facts", async () => {
      const uri = at(folder(), "ranged");
      const stored = await under.store.put(uri, text("0123456789"));
      if (stored.kind !== "stored") throw new Error(stored.kind);
      for (const [start, end, bytes] of [
        [0, 1, "0"],
        [3, 7, "3456"],
        [9, 10, "9"],
        [4, 100, "456789"],
      ] as const) {
        const got = await under.store.get(uri, { ifMatch: stored.etag, range: { start, end } });
        expect(got).toMatchObject({ kind: "found", etag: stored.etag, sizeBytes: 10 });
        expect((await bytesOf(got)).toString()).toBe(bytes);
      }
      const range = { start: 0, end: 1 };
      expect(await under.store.get(uri, { ifMatch: "0123456789abcdef0123456789abcdef", range })).toEqual({
        kind: "changed",
      });
      expect(await under.store.get(at(folder(), "never"), { range })).toEqual({ kind: "absent" });
    });

    test("an object that is not there is absent, whatever version was asked for", async () => {
      const uri = at(folder(), "never");
      expect(await under.store.get(uri)).toEqual({ kind: "absent" });
      expect(await under.store.get(uri, { ifMatch: "0123456789abcdef0123456789abcdef" })).toEqual({ kind: "absent" });
    });

    test("an empty object is an object", async () => {
      const root = folder();
      await under.store.put(at(root, "bytes"), new Uint8Array());
      await under.store.put(at(root, "stream"), streamOf(0));
      for (const key of ["bytes", "stream"]) {
        const got = await under.store.get(at(root, key));
        expect(got).toMatchObject({ kind: "found", sizeBytes: 0 });
        expect(await bytesOf(got)).toHaveLength(0);
      }
      expect((await listed(under.store, root)).map((object) => object.sizeBytes)).toEqual([0, 0]);
    });

    test.each(ODD_KEYS)("the key %j comes back unchanged", async (key) => {
      const root = folder();
      await under.store.put(at(root, key), text(key));
      expect(await bytesOf(await under.store.get(at(root, key)))).toEqual(Buffer.from(key));
      expect((await listed(under.store, root)).map((object) => object.uri)).toEqual([at(root, key)]);
      expect((await listed(under.store, at(root, key))).map((object) => object.uri)).toEqual([at(root, key)]);
      await under.store.remove([at(root, key)]);
      expect(await listed(under.store, root)).toEqual([]);
    });

    test("ifAbsent leaves what is there untouched", async () => {
      const uri = at(folder(), "once");
      expect(await under.store.put(uri, text("first"), { ifAbsent: true })).toMatchObject({ kind: "stored" });
      expect(await under.store.put(uri, text("second"), { ifAbsent: true })).toEqual({ kind: "exists" });
      expect(await bytesOf(await under.store.get(uri))).toEqual(Buffer.from("first"));
    });

    test("of 20 racing creators exactly one stores, and its bytes are the ones there", async () => {
      const uri = at(folder(), "raced");
      const names = Array.from({ length: 20 }, (_, index) => `writer ${index}`);
      const outcomes = await Promise.all(names.map((name) => under.store.put(uri, text(name), { ifAbsent: true })));
      const winners = names.filter((_, index) => outcomes[index]?.kind === "stored");
      expect(winners).toHaveLength(1);
      expect((await bytesOf(await under.store.get(uri))).toString()).toBe(winners[0]);
    });

    test("a list is in the order of the keys' UTF-8 bytes and holds to its prefix", async () => {
      const root = folder();
      const keys = ["Z", "a", "a-", "a/1", "a0", "b", "é", "\uffee", "😀"];
      for (const key of keys.toReversed()) await under.store.put(at(root, key), text(key));
      expect((await listed(under.store, root)).map((object) => object.uri)).toEqual(keys.map((key) => at(root, key)));
      expect((await listed(under.store, at(root, "a"))).map((object) => object.uri)).toEqual(
        ["a", "a-", "a/1", "a0"].map((key) => at(root, key)),
      );
      expect(await listed(under.store, at(root, "none"))).toEqual([]);
    });

    test("more keys than one page or one delete request holds are all listed and all removed", async () => {
      const root = folder();
      const uris = Array.from({ length: 2050 }, (_, index) => at(root, `k${String(index).padStart(5, "0")}`));
      for (let start = 0; start < uris.length; start += 50) {
        await Promise.all(uris.slice(start, start + 50).map((uri) => under.store.put(uri, text("x"))));
      }
      const kept = at(root, "l");
      await under.store.put(kept, text("stays"));
      expect((await listed(under.store, at(root, "k"))).map((object) => object.uri)).toEqual(uris);
      await under.store.remove([...uris, at(root, "was-never-there")]);
      expect((await listed(under.store, root)).map((object) => object.uri)).toEqual([kept]);
    });

    test("removing nothing succeeds", async () => {
      await expect(under.store.remove([])).resolves.toBeUndefined();
    });

    test("a streamed body of 70 MB arrives whole", async () => {
      const uri = at(folder(), "large");
      const sizeBytes = 70 * 1000 * 1000 + 7;
      const stored = await under.store.put(uri, streamOf(sizeBytes), { ifAbsent: true });
      if (stored.kind !== "stored") throw new Error(stored.kind);
      const got = await under.store.get(uri, { ifMatch: stored.etag });
      if (got.kind !== "found") throw new Error(got.kind);
      expect(got.sizeBytes).toBe(sizeBytes);
      expect(await digest(got.body)).toBe(await digest(streamOf(sizeBytes).open()));
      expect(await under.store.put(uri, streamOf(sizeBytes), { ifAbsent: true })).toEqual({ kind: "exists" });
      await under.store.remove([uri]);
    });

    test.each([
      ["shorter", 1000, 999],
      ["longer", 1000, 1001],
      ["much shorter", 66 * 1024 * 1024, 65 * 1024 * 1024],
    ])("a body %s than announced is refused and leaves no object", async (_, sizeBytes, sentBytes) => {
      const root = folder();
      const body = { sizeBytes, open: () => streamOf(sentBytes).open() };
      const failure = await under.store.put(at(root, "cut"), body).catch((error: unknown) => error);
      expect(isKind(failure, "Invalid")).toBe(true);
      expect(await listed(under.store, root)).toEqual([]);
    });

    test("a body that fails while it is read leaves no object", async () => {
      const root = folder();
      const sizeBytes = 80 * 1024 * 1024;
      const body = {
        sizeBytes,
        async *open() {
          yield* streamOf(40 * 1024 * 1024).open();
          throw new Error("disk is gone");
        },
      };
      await expect(under.store.put(at(root, "cut"), body)).rejects.toThrow("disk is gone");
      expect(await listed(under.store, root)).toEqual([]);
    });

    test("bytes changed by their owner after a put do not change the object", async () => {
      const uri = at(folder(), "aliased");
      const bytes = text("before");
      await under.store.put(uri, bytes);
      bytes.fill(0);
      expect(await bytesOf(await under.store.get(uri))).toEqual(Buffer.from("before"));
    });
  });
}

/** Bytes that differ by place, in pieces whose size divides nothing. */
function streamOf(sizeBytes: number): Exclude<PutBody, Uint8Array> {
  return {
    sizeBytes,
    async *open() {
      const pattern = Buffer.alloc(1_000_003);
      for (let index = 0; index < pattern.length; index += 1) pattern[index] = (index * 31) & 0xff;
      for (let sent = 0; sent < sizeBytes; sent += pattern.length) yield pattern.subarray(0, sizeBytes - sent);
    },
  };
}

async function bytesOf(got: GetOutcome): Promise<Buffer> {
  if (got.kind !== "found") throw new Error(`expected an object, got ${got.kind}`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of got.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function digest(body: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of body) hash.update(chunk);
  return hash.digest("hex");
}

function listed(store: ObjectStore, prefix: string) {
  return collect(store.list(prefix));
}
