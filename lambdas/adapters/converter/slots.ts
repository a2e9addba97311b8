// Files for small sources, used again by the next conversion. Making a file costs 0.2 to 1 ms (an inode on ext4), writing over one
// 0.02 ms (bench/small-files.ts), and a batch may be two thousand small files.
// Old bytes stay until they are overwritten: a slot is given out for writing only, and cut to what was written.

import {
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";

/** Two thousand slots of this size are kept for nothing between conversions. */
const IDLE_BYTES_MAX = 64 * 1024;
const SLOTS_MAX = 4096;

export class Slots {
  readonly #directory: string;
  readonly #free: string[] = [];
  #made = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  take(): string {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made === 0) mkdirSync(this.#directory, { recursive: true });
    return `${this.#directory}/${++this.#made}`;
  }

  giveBack(paths: readonly string[]): void {
    for (const path of paths) {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (this.#free.length >= SLOTS_MAX) rmSync(path, { force: true });
      else {
        if (size > IDLE_BYTES_MAX) truncateSync(path);
        this.#free.push(path);
      }
    }
  }
}

/** Makes the file hold exactly these bytes. */
export function overwrite(path: string, bytes: Uint8Array): void {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(file, bytes, written, bytes.length - written, written);
    ftruncateSync(file, bytes.length);
  } finally {
    closeSync(file);
  }
}
