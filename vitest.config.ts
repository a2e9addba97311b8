import { defineConfig } from "vitest/config";

// unit: pure core, seconds. bounds: what is counted at scale, or tried a thousand times, takes longer. contract: ports, fake and adapter.
// stack: the template. synth: cdk-nag, packages and what an operator sees of `cdk synth`. local: the embedded stack.
// conformance: collections that other people made of what a format allows and of what can be wrong with it, with scores; not part of
// `npm test`. cache: before a real Valkey or Redis server, which no `npm ci` brings; says so where there is none.
export default defineConfig({
  test: {
    maxWorkers: "100%",
    projects: [
      // No test asserts a time: the bound is for what hangs, on however busy a machine.
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 60_000, isolate: false } },
      { test: { name: "bounds", include: ["test/bounds/**/*.test.ts"], testTimeout: 180_000 } },
      { test: { name: "contract", include: ["test/contract/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        test: {
          name: "stack",
          include: ["test/stack/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          isolate: false,
        },
      },
      { test: { name: "synth", include: ["test/synth/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 120_000 } },
      { test: { name: "local", include: ["test/local/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 } },
      { test: { name: "cache", include: ["test/cache/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 } },
      {
        test: {
          name: "conformance",
          include: ["test/conformance/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 60_000,
        },
      },
      { test: { name: "simulation", include: ["test/simulation/**/*.test.ts"], testTimeout: 900_000 } },
    ],
  },
});
