// Names of what statements add to a file's own columns and keys. No file has them: they end in what this process alone knows.

import { randomBytes } from "node:crypto";

const TOKEN = randomBytes(8).toString("hex");

export function ownName(name: string): string {
  return `__moraine_${name}_${TOKEN}`;
}
