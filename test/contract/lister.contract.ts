// What every bucket lister must do. Runs against the fakes and against the S3 adapter.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareUtf8 } from "../../lambdas/core/discovery/key-order.ts";
import type { BucketLister, ListPage, ListRequest } from "../../lambdas/core/ports.ts";

export interface ListerUnderTest {
  readonly lister: BucketLister;
  readonly bucket: string;
  close(): Promise<void>;
}

/** Keys that have broken clients, and neighbours of every boundary of the order. */
export const ODD_KEYS = [
  "odd/",
  "odd//",
  "odd/\u0001control\u001f\u007f",
  "odd/a b+c%20d%2Fe",
  "odd/a&b<c>d\"e'f",
  "odd/&amp;&#38;",
  "odd/empty folder/",
  "odd/tab\tnewline\nreturn\r",
  "odd/é",
  "odd/日本語/файл",
  "odd/\ud7ff",
  "odd/\ue000",
  "odd/\ufffd",
  "odd/\uffff",
  "odd/\u{10000}",
  "odd/😀",
  "odd/\u{10ffff}",
  `odd/long-${"x".repeat(1015)}`,
].sort(compareUtf8);

const MANY = Array.from({ length: 2010 }, (_, index) => `many/${String(index).padStart(5, "0")}`);
const FOLDED = ["tree/", "tree/a", "tree/b/", "tree/b/1", "tree/b/2/x", "tree/c", "tree/d/1", "tree/e", "tree/é/1"];
const DEEP = Array.from({ length: 1005 }, (_, index) => `wide/${String(index).padStart(4, "0")}/file`);

/** Every lister under test lists these, each with its own key as content. */
export const LISTED_KEYS = [...ODD_KEYS, ...MANY, ...FOLDED, ...DEEP].sort(compareUtf8);

export function listerContract(subject: string, open: (keys: readonly string[]) => Promise<ListerUnderTest>): void {
  describe(`bucket lister: ${subject}`, () => {
    let under: ListerUnderTest;
    const page = (request: Omit<ListRequest, "bucket">) => under.lister.page({ bucket: under.bucket, ...request });
    const keysOf = ({ objects }: ListPage) => objects.map(({ key }) => key);
    const all = async (request: Omit<ListRequest, "bucket">) => {
      const pages: ListPage[] = [];
      for (let after = request.after; ; ) {
        const next = await page(after === undefined ? request : { ...request, after });
        pages.push(next);
        if (!next.truncated) return pages;
        const lasts = [next.objects.at(-1)?.key, next.folders.at(-1)].filter((last) => last !== undefined);
        after = lasts.sort(compareUtf8).at(-1) ?? "";
      }
    };

    beforeAll(async () => {
      under = await open(LISTED_KEYS);
    });
    afterAll(() => under?.close());

    test("pages joined are every key below the prefix once, in the order of UTF-8 bytes", async () => {
      for (const prefix of ["odd/", "many/", "tree/", ""]) {
        const listed = (await all({ prefix })).flatMap(keysOf);
        expect(listed).toEqual(LISTED_KEYS.filter((key) => key.startsWith(prefix)));
      }
    });

    test("a page holds 1,000 keys, and says whether more follow", async () => {
      expect((await all({ prefix: "many/" })).map((each) => [each.objects.length, each.truncated])).toEqual([
        [1000, true],
        [1000, true],
        [10, false],
      ]);
      const rest = await page({ prefix: "many/", after: "many/01009" });
      expect([rest.objects.length, rest.truncated]).toEqual([1000, false]);
    });

    test.each(ODD_KEYS.map((key) => [key.slice(0, 30), key]))("behind %j comes what is greater", async (_, key) => {
      const greater = ODD_KEYS.filter((other) => compareUtf8(other, key) > 0);
      expect(keysOf(await page({ prefix: "odd/", after: key }))).toEqual(greater);
    });

    test("a start that is no key, before or behind the prefix, is one all the same", async () => {
      expect(keysOf(await page({ prefix: "tree/", after: "tree/bb" }))).toEqual(FOLDED.slice(5));
      expect(keysOf(await page({ prefix: "tree/", after: "tree" }))).toEqual(FOLDED);
      expect(keysOf(await page({ prefix: "tree/", after: "" }))).toEqual(FOLDED);
      expect(await page({ prefix: "tree/", after: "tree0" })).toEqual({ objects: [], folders: [], truncated: false });
      expect(await page({ prefix: "none/" })).toEqual({ objects: [], folders: [], truncated: false });
    });

    test("folded, folders stand for what is below them", async () => {
      const { objects, folders, truncated } = await page({ prefix: "tree/", folded: true });
      expect(objects.map(({ key }) => key)).toEqual(["tree/", "tree/a", "tree/c", "tree/e"]);
      expect(folders).toEqual(["tree/b/", "tree/d/", "tree/é/"]);
      expect(truncated).toBe(false);
    });

    test("folded behind a folder or a key in it, that folder is not named again", async () => {
      for (const after of ["tree/b/", "tree/b/1"]) {
        const { objects, folders } = await page({ prefix: "tree/", folded: true, after });
        expect(objects.map(({ key }) => key)).toEqual(["tree/c", "tree/e"]);
        expect(folders).toEqual(["tree/d/", "tree/é/"]);
      }
    });

    test("folders of many pages are all named once", async () => {
      const folders = (await all({ prefix: "wide/", folded: true })).flatMap((each) => each.folders);
      expect(folders).toEqual(DEEP.map((key) => key.slice(0, -4)));
    });

    test("objects come with their size, their unquoted etag and a whole second", async () => {
      const { objects } = await page({ prefix: "odd/" });
      expect(objects.map(({ sizeBytes }) => sizeBytes)).toEqual(ODD_KEYS.map((key) => Buffer.byteLength(key)));
      expect(objects.every(({ etag }) => /^[^"&]+$/.test(etag))).toBe(true);
      expect(new Set(objects.map(({ etag }) => etag)).size).toBe(ODD_KEYS.length);
      expect(objects.every(({ lastModifiedMs }) => lastModifiedMs > 0 && lastModifiedMs % 1000 === 0)).toBe(true);
    });
  });
}
