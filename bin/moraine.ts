#!/usr/bin/env node
// The operator's command: what was loaded, what was not, and why. Everything it does is in cli/program.ts.

import { runProgram } from "../cli/program.ts";
import { systemTerminal } from "../cli/terminal.ts";

// `moraine files | head`: whoever reads has enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

process.exitCode = await runProgram(process.argv.slice(2), systemTerminal);
