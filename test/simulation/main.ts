// npm run simulate -- --seeds N [--seed S] [--sabotage GUARD] [--trace]
// Runs seeds S, S+1, …; prints the first violations of each failing seed and the one command that repeats it.

import { parseArgs } from "node:util";
import { SABOTAGES, type Sabotage } from "./sabotage.ts";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    sabotage: { type: "string" },
    trace: { type: "boolean", default: false },
    "stop-at-first": { type: "boolean", default: false },
  },
});

const first = Number(values.seed);
const count = Number(values.seeds);
const sabotage = values.sabotage as Sabotage | undefined;
if (sabotage !== undefined && !SABOTAGES.includes(sabotage)) {
  console.error(`unknown guard: ${sabotage}; one of ${SABOTAGES.join(", ")}`);
  process.exit(2);
}

let failed = 0;
let commits = 0;
for (let seed = first; seed < first + count; seed++) {
  const result = await simulate(seed, { keepTrace: values.trace, ...(sabotage === undefined ? {} : { sabotage }) });
  commits += result.commits;
  if (values.trace) console.log(result.trace?.join("\n"));
  if (result.violations.length === 0) continue;
  failed++;
  console.log(`seed ${seed} fails (${JSON.stringify(result.rates)}):`);
  for (const violation of result.violations.slice(0, 6)) console.log(`  ${violation}`);
  console.log(
    `  repeat: npm run simulate -- --seeds 1 --seed ${seed}${sabotage ? ` --sabotage ${sabotage}` : ""} --trace`,
  );
  if (values["stop-at-first"]) break;
}
console.log(`simulated ${count} seeds from ${first}: ${commits} commits`);
console.log(`${count - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
