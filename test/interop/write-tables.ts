// The writing side of the interop suite: local S3 and Glue, and Moraine on top. Started by the readers, it says where its services
// are and then, for every line it is given (the name of a table), writes on and answers with what readers must see.
// It ends when its input does.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Moraine, SETTINGS } from "./moraine.ts";
import { STORIES } from "./tables.ts";

const folder = mkdtempSync(join(tmpdir(), "moraine-interop-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const moraine = await Moraine.start(folder);
const running = new Map(Object.entries(STORIES).map(([name, story]) => [name, story(moraine)]));
answer({ ...moraine.urls, snapshotsKeepLast: SETTINGS.snapshotsKeepLast });

for await (const name of createInterface({ input: process.stdin })) {
  try {
    const step = await running.get(name)?.next();
    if (step?.value === undefined) throw new Error(`there is nothing more to tell of ${name}`);
    answer(step.value);
  } catch (error) {
    answer({ error: error instanceof Error ? error.stack : String(error) });
  }
}
process.exit(0);

function answer(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
