import { spawn } from "node:child_process";
import { expect, test } from "vitest";

test("whoever reads may stop reading: moraine files | head", async () => {
  const child = spawn(process.execPath, ["bin/moraine.ts", "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let complaints = "";
  child.stderr.on("data", (chunk) => (complaints += chunk));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect([code, complaints]).toEqual([0, ""]);
});
