// One stack at a time on a data folder: two would each believe they own its queues and journals. The lock is a file that names
// the process holding it; one left behind by a process that is gone is taken over.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export class FolderInUse extends Error {}

/** Returns how to give it back. Throws FolderInUse. */
export function lockFolder(folder: string): () => void {
  const file = join(folder, "lock");
  for (;;) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = holderOf(file);
    if (holder !== undefined && isAlive(holder)) {
      const remedy = `stop it, use another folder, or delete ${file} if that process is no local stack`;
      throw new FolderInUse(`${folder} is in use by process ${holder}: ${remedy}`);
    }
    rmSync(file, { force: true });
  }
}

/** Undefined: gone meanwhile, or nothing a lock would hold (a machine that lost power leaves empty files). */
function holderOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: alive, and somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
