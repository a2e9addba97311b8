// hyparquet brings snappy only; zstd is Node's own.

import { zstdDecompressSync } from "node:zlib";

export const compressors = {
  ZSTD: (input: Uint8Array): Uint8Array => new Uint8Array(zstdDecompressSync(input)),
};
