// Synthesizes the CDK app into a folder, as `cdk synth` would but without its start-up time: the app is the same process with
// the same context, told where to write by the environment variables the CDK toolkit itself uses.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/** Throws with the app's own messages: a wrong moraine.yaml is told line by line. */
export async function synthesize(configFile: string, outputFolder: string, signal?: AbortSignal): Promise<void> {
  const { context } = JSON.parse(readFileSync(join(ROOT, "cdk.json"), "utf8")) as { context: Record<string, unknown> };
  const child = spawn(process.execPath, [join(ROOT, "bin", "app.ts")], {
    cwd: ROOT,
    env: {
      ...process.env,
      // The rules for deployments take most of the time and are checked by `npm run synth`.
      CDK_VALIDATION: "false",
      CDK_OUTDIR: resolve(outputFolder),
      CDK_CONTEXT_JSON: JSON.stringify({ ...context, config: resolve(configFile) }),
    },
    stdio: ["ignore", "pipe", "pipe"],
    ...(signal === undefined ? {} : { signal }),
  });
  const said: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => said.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => said.push(chunk));
  const code = await new Promise<number | null>((done, failed) => {
    child.once("error", failed);
    child.once("close", done);
  });
  if (code !== 0) throw new Error(Buffer.concat(said).toString().trim() || `the CDK app ended with code ${code}`);
}
