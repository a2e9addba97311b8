// The archive read back the way an unzipper does: from the end record, over the directory, to each file's bytes.

import { crc32, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ZipEntry, zip } from "../../lib/zip.ts";

function unzip(archive: Buffer): ZipEntry[] {
  const end = archive.length - 22;
  expect(archive.readUInt32LE(end)).toBe(0x06054b50);
  const entries: ZipEntry[] = [];
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    expect(archive.readUInt32LE(at)).toBe(0x02014b50);
    const nameEnd = at + 46 + archive.readUInt16LE(at + 28);
    const name = archive.toString("utf8", at + 46, nameEnd);
    const local = archive.readUInt32LE(at + 42);
    expect(archive.readUInt32LE(local)).toBe(0x04034b50);
    // Local header and directory entry say the same.
    expect(archive.subarray(local + 4, local + 30)).toEqual(archive.subarray(at + 6, at + 32));
    const body = local + 30 + archive.readUInt16LE(local + 26);
    const bytes = inflateRawSync(archive.subarray(body, body + archive.readUInt32LE(at + 20)));
    expect(crc32(bytes)).toBe(archive.readUInt32LE(at + 16));
    expect(bytes.length).toBe(archive.readUInt32LE(at + 24));
    entries.push({ name, bytes: new Uint8Array(bytes) });
    at = nameEnd;
  }
  expect(at).toBe(end);
  return entries;
}

test("every file comes out as it went in", () => {
  const entry = fc.record({
    name: fc.string({ unit: "grapheme", minLength: 1 }),
    bytes: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
      expect(unzip(zip(entries))).toEqual(entries);
    }),
  );
});

test("files are readable by Lambda, which runs as another user", () => {
  const archive = zip([{ name: "a", bytes: new Uint8Array() }]);
  const directory = archive.readUInt32LE(archive.length - 6);
  expect((archive.readUInt32LE(directory + 38) >>> 16) & 0o777).toBe(0o644);
});
