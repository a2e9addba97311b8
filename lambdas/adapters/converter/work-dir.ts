// A directory of this converter's own under the work directory. A Lambda sandbox keeps /tmp when its process dies (out of memory, say),
// so what dead processes left is removed first, or the disk would fill with it.

import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { performance } from "node:perf_hooks";

const OWNED = /^converter-(\d+)-(\d+)-/;
const STARTED = Math.trunc(performance.timeOrigin);

export function ownDirectory(root: string): string {
  mkdirSync(root, { recursive: true });
  for (const name of readdirSync(root)) {
    const [, pid, started] = OWNED.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid), Number(started)))
      rmSync(`${root}/${name}`, { recursive: true, force: true });
  }
  const directory = `${root}/converter-${process.pid}-${STARTED}-${randomUUID()}`;
  mkdirSync(directory);
  return directory;
}

/** A process number is used again; then the time of the start differs. */
function isAlive(pid: number, started: number): boolean {
  if (pid === process.pid) return started === STARTED;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
