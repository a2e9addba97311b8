// A ZIP archive from bytes in memory: no zip tool is on every machine, and equal input must give equal bytes (the asset cache).
// Classic format only (PKWARE APPNOTE 6.3.3): under 4 GB and 65,535 files, times fixed, every file readable by all.

import { constants, crc32, deflateRawSync } from "node:zlib";

export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** 1980-01-01, the first day the format knows. */
const DOS_DATE = 0x21;
const VERSION = 20;
const UTF8_NAMES = 0x800;
const DEFLATE = 8;
/** rw-r--r-- of a regular file, in the upper half as Unix archivers write it; native code is loaded, not executed. */
const UNIX_MODE = (0o100644 << 16) >>> 0;
const MADE_ON_UNIX = (3 << 8) | VERSION;

export function zip(entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes } of entries) {
    const body = deflateRawSync(bytes, { level: constants.Z_BEST_COMPRESSION });
    const encoded = Buffer.from(name, "utf8");
    const common = commonFields(body.length, bytes, encoded.length);
    const local = Buffer.concat([uint32(0x04034b50), common, encoded]);
    const central = [
      uint32(0x02014b50),
      uint16(MADE_ON_UNIX),
      common,
      Buffer.alloc(6),
      uint32(UNIX_MODE),
      uint32(offset),
      encoded,
    ];
    parts.push(local, body);
    directory.push(Buffer.concat(central));
    offset += local.length + body.length;
  }
  const listing = Buffer.concat(directory);
  const count = uint16(entries.length);
  const end = [uint32(0x06054b50), uint32(0), count, count, uint32(listing.length), uint32(offset), uint16(0)];
  return Buffer.concat([...parts, listing, ...end]);
}

/** The 26 bytes that local header and directory entry share, from "version needed" to "extra field length". */
function commonFields(compressed: number, bytes: Uint8Array, nameLength: number): Buffer {
  return Buffer.concat([
    uint16(VERSION),
    uint16(UTF8_NAMES),
    uint16(DEFLATE),
    uint16(0),
    uint16(DOS_DATE),
    uint32(crc32(bytes)),
    uint32(compressed),
    uint32(bytes.length),
    uint16(nameLength),
    uint16(0),
  ]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
