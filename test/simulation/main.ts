// npm run simulate -- --seeds N [--seed S] [--discovery] [--sabotage GUARD] [--trace]
// Runs seeds S, S+1, …; prints the first violations of each failing seed and the one command that repeats it. With --discovery each
// seed is the life of an ingestion that is found by listing (discovery.ts), else a run of the protocol (simulation.ts).

import { parseArgs } from "node:util";
import { DISCOVERY_SABOTAGES, type DiscoverySabotage } from "./discovery/sabotage.ts";
import { simulateDiscovery } from "./discovery.ts";
import { SABOTAGES, type Sabotage } from "./sabotage.ts";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    sabotage: { type: "string" },
    discovery: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    "stop-at-first": { type: "boolean", default: false },
  },
});

const first = Number(values.seed);
const count = Number(values.seeds);
const { discovery, sabotage } = values;
const guards: readonly string[] = discovery ? DISCOVERY_SABOTAGES : SABOTAGES;
if (sabotage !== undefined && !guards.includes(sabotage)) {
  console.error(`unknown guard: ${sabotage}; one of ${guards.join(", ")}`);
  process.exit(2);
}

let failed = 0;
const totals: Record<string, number> = {};
for (let seed = first; seed < first + count; seed++) {
  const result = await play(seed);
  for (const [name, times] of Object.entries(result.totals)) totals[name] = (totals[name] ?? 0) + times;
  if (values.trace) console.log(result.trace?.join("\n"));
  if (result.violations.length === 0) continue;
  failed++;
  console.log(`seed ${seed} fails (${JSON.stringify(result.rates)}):`);
  for (const violation of result.violations.slice(0, 6)) console.log(`  ${violation}`);
  console.log(
    `  repeat: npm run simulate --${discovery ? " --discovery" : ""} --seeds 1 --seed ${seed}${sabotage ? ` --sabotage ${sabotage}` : ""} --trace`,
  );
  if (values["stop-at-first"]) break;
}
const facts = Object.entries(totals).map(([name, times]) => `${times} ${name}`);
console.log(`simulated ${count} seeds from ${first}: ${facts.join(", ")}`);
console.log(`${count - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function play(seed: number) {
  const keepTrace = values.trace;
  if (!discovery) {
    const result = await simulate(seed, { keepTrace, ...(sabotage ? { sabotage: sabotage as Sabotage } : {}) });
    return { ...result, totals: { commits: result.commits } };
  }
  const guard = sabotage ? { sabotage: sabotage as DiscoverySabotage } : {};
  const result = await simulateDiscovery(seed, { keepTrace, ...guard });
  return { ...result, totals: result.ended };
}
