// Where the seed of a read lies (json/read.ts): in a file of its own before the others, or in room kept free at the start of a large file,
// because DuckDB reads a file with several threads only when there are fewer files than threads.
// A seed must be gone before anything else reads the file: it would be a record.

import { open, writeFile } from "node:fs/promises";
import type { SpooledSource } from "../format.ts";
import { ownName } from "../own-name.ts";
import type { JsonFormat } from "./files.ts";

/** Room for a seed before the records of a file, and the size from which on a file has it. */
export const SEED_ROOM_BYTES = 64 * 1024;
export const SEED_ROOM_MATTERS_BYTES = 8 * 1024 * 1024;
/** Read as a column that only the seed has. */
export const SEED_KEY = ownName("seed");
/** DuckDB looks at the seed and at nothing else, and takes no object for a map. */
export const SEED_OPTIONS = { maximum_sample_files: "1", sample_size: "1", map_inference_threshold: "-1" };

export class SeedBed {
  readonly #directory: string;
  #files = 0;
  #planted: SpooledSource[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Puts the seed where DuckDB meets it first, and returns the paths to read. Seeds of one statement stand beside each other. */
  async plant(format: JsonFormat, sources: readonly SpooledSource[], seed: string): Promise<string[]> {
    const roomy = format === "newline_delimited" ? sources.find(({ roomBytes }) => roomBytes > 0) : undefined;
    if (roomy !== undefined && Buffer.byteLength(seed) < roomy.roomBytes) {
      await fillRoom(roomy, seed);
      this.#planted.push(roomy);
      return [roomy.path, ...sources.filter((source) => source !== roomy).map(({ path }) => path)];
    }
    const path = `${this.#directory}/seed-${++this.#files}.json`;
    await writeFile(path, format === "array" ? `[${seed}]` : seed);
    return [path, ...sources.map((source) => source.path)];
  }

  async clear(): Promise<void> {
    for (const source of this.#planted.splice(0)) await fillRoom(source, "");
  }
}

/** One line: the text and spaces. */
async function fillRoom({ path, roomBytes }: SpooledSource, text: string): Promise<void> {
  const room = Buffer.alloc(roomBytes, " ");
  room.write(text);
  room[roomBytes - 1] = 0x0a;
  const file = await open(path, "r+");
  try {
    await file.write(room, 0, room.length, 0);
  } finally {
    await file.close();
  }
}
