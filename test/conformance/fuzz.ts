// npm run fuzz -- --cases N [--seed S] [--only FORMAT]
// Plays cases S, S+1, … in a process of their own, so that a crash, a case that hangs and memory beyond its bound are seen and named: each
// failure prints the one command that repeats it. What a case is: fuzz-case.ts.

import { type ChildProcess, fork } from "node:child_process";
import { parseArgs } from "node:util";
import { scratch } from "../contract/converter/harness.ts";
import { type CaseResult, playCase, soundFiles } from "./fuzz-case.ts";

const CASE_MS_MAX = 60_000;
const MEMORY_BYTES_MAX = 512 * 1024 ** 2;
/** Of the process: DuckDB's own limit, Node's heap, and what DuckDB takes beyond its limit. */
const RESIDENT_BYTES_MAX = 1.5 * 1024 ** 3;

type Message =
  | { readonly seed: number; readonly begins: true }
  | { readonly seed: number; readonly begins: false; readonly result: CaseResult; readonly residentBytes: number };

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    cases: { type: "string", default: "1000" },
    /** Of the sound files, those whose name begins like this: csv, tsv, ndjson, json, avro, parquet. */
    only: { type: "string", default: "" },
    child: { type: "boolean", default: false },
  },
});
const first = Number(values.seed);
const end = first + Number(values.cases);

if (values.child) await playAll();
else process.exitCode = await watch();

async function playAll(): Promise<void> {
  const send = (message: Message) => new Promise<void>((sent) => process.send?.(message, () => sent()));
  const work = await scratch({ memoryLimitBytes: MEMORY_BYTES_MAX });
  const sounds = (await soundFiles()).filter(({ name }) => name.startsWith(values.only));
  if (sounds.length === 0) throw new Error(`no sound file is called ${values.only}`);
  for (let seed = first; seed < end; seed++) {
    await send({ seed, begins: true });
    const result = await playCase(work, sounds, seed);
    await send({ seed, begins: false, result, residentBytes: process.memoryUsage.rss() });
  }
  await work.remove();
  process.disconnect();
}

async function watch(): Promise<number> {
  const outcomes = new Map<string, number>();
  let failed = 0;
  let residentBytes = 0;
  const fail = (seed: number, story: string, problems: readonly string[]) => {
    failed++;
    console.log(`seed ${seed} fails (${story}):`);
    for (const problem of problems) console.log(`  ${problem.slice(0, 500)}`);
    console.log(
      `  repeat: npm run fuzz -- --cases 1 --seed ${seed}${values.only === "" ? "" : ` --only ${values.only}`}`,
    );
  };
  for (let seed = first; seed < end; ) {
    const done = await playFrom(seed, (message) => {
      const { result } = message;
      outcomes.set(result.outcome, (outcomes.get(result.outcome) ?? 0) + 1);
      residentBytes = Math.max(residentBytes, message.residentBytes);
      if (result.violations.length > 0) fail(message.seed, result.story, result.violations);
    });
    if (done.problem !== undefined) fail(done.seed, "its process", [done.problem]);
    seed = done.seed + 1;
  }
  for (const [outcome, cases] of [...outcomes].sort((a, b) => b[1] - a[1])) {
    console.log(`${String(cases).padStart(7)}  ${outcome}`);
  }
  console.log(
    `${end - first} cases from seed ${first}, ${failed} failed, at most ${Math.round(residentBytes / 1024 ** 2)} MiB resident`,
  );
  return failed === 0 ? 0 : 1;
}

/** Plays until the end, or until the process is lost over a case: the seed it got to. */
function playFrom(
  seed: number,
  onCase: (message: Extract<Message, { readonly begins: false }>) => void,
): Promise<{ readonly seed: number; readonly problem?: string }> {
  const range = ["--seed", String(seed), "--cases", String(end - seed), "--only", values.only];
  const child = fork(import.meta.filename, ["--child", ...range]);
  return new Promise((resolve) => {
    let current = seed;
    let problem: string | undefined;
    const stop = (why: string) => {
      problem ??= why;
      child.kill("SIGKILL");
    };
    let timer = setTimeout(() => stop("did not start"), CASE_MS_MAX);
    child.on("message", (message: Message) => {
      clearTimeout(timer);
      current = message.seed;
      if (message.begins) {
        timer = setTimeout(() => stop(`did not end within ${CASE_MS_MAX} ms`), CASE_MS_MAX);
        return;
      }
      onCase(message);
      if (message.residentBytes > RESIDENT_BYTES_MAX) stop(`${message.residentBytes} bytes resident`);
    });
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve({ seed: end - 1 });
      else resolve({ seed: current, problem: problem ?? describeExit(child, code, signal) });
    });
  });
}

function describeExit(child: ChildProcess, code: number | null, signal: string | null): string {
  return `the process ${child.pid} ended with ${code === null ? `signal ${signal}` : `code ${code}`}`;
}
