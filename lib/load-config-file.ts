// moraine.yaml from disk, read and checked once per synth. Errors are returned, not thrown: the app prints them as they are.

import { readFileSync } from "node:fs";
import { type ParsedConfig, parseConfig } from "../lambdas/core/config-file.ts";

export function loadConfigFile(file: string): ParsedConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return { errors: [`${file}: cannot be read (${cause}); write it, or name another with -c config=<file>`] };
  }
  return parseConfig(text, file);
}
