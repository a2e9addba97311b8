// What a table of the suite is told as, and the flat columns that most of them have.

import type { Moraine } from "./moraine.ts";
import type { Column, Row } from "./rows.ts";
import type { Expectation } from "./table.ts";
import { Values } from "./values.ts";

/** What is missing on this machine. */
export interface Absent {
  readonly absent: string;
}
export type Told = AsyncGenerator<Expectation | Absent, void, void>;
export type Story = (moraine: Moraine) => Told;

export const FLAT: readonly Column[] = [
  { name: "id", type: "long" },
  { name: "flag", type: "boolean" },
  { name: "amount", type: "long" },
  { name: "ratio", type: "double" },
  { name: "name", type: "string" },
  { name: "day", type: "date" },
  { name: "local_at", type: "timestamp" },
  { name: "at", type: "timestamptz" },
  { name: "small", type: "decimal(9, 2)" },
  { name: "medium", type: "decimal(18, 4)" },
  { name: "large", type: "decimal(38, 10)" },
];
export const DECIMAL_HINTS = { small: "decimal(9,2)", medium: "decimal(18,4)", large: "decimal(38,10)" };

export function flatRows(seed: number, count: number, firstId = 0): Row[] {
  const values = new Values(seed);
  return Array.from({ length: count }, (_, n) => values.row(FLAT, { id: String(firstId + n) }));
}
