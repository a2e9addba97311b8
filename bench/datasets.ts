// Files the conversion benches read: the shape of orders in CSV and of nested events in NDJSON, the same bytes on every machine.

import { open } from "node:fs/promises";
import type { FormatOptions } from "../lambdas/core/config.ts";

/** The dialect of the CSV files made here. */
export const CSV: FormatOptions = {
  type: "csv",
  delimiter: ",",
  header: true,
  quote: '"',
  escape: '"',
  nullValues: [],
  encoding: "utf-8",
  skipLines: 0,
};

const WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa".split(
  " ",
);

/** A small linear congruential generator: the bench must not depend on Math.random. */
export class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  fraction(): number {
    this.#state = (Math.imul(this.#state, 1103515245) + 12345) & 0x7fffffff;
    return this.#state / 0x80000000;
  }
  below(n: number): number {
    return Math.floor(this.fraction() * n);
  }
  word(): string {
    return WORDS[this.below(WORDS.length)] as string;
  }
  hex(length: number): string {
    let text = "";
    while (text.length < length) text += this.below(0x1000000).toString(16).padStart(6, "0");
    return text.slice(0, length);
  }
  instant(): string {
    return new Date(1.7e12 + this.below(3e7) * 1000 + this.below(1000)).toISOString();
  }
}

export const CSV_HEADER = "id,user_id,ts,event,country,price,qty,discount,active,session,url,referrer,day,score,note\n";

export function csvRow(dice: Dice, id: number): string {
  const { word } = { word: () => dice.word() };
  const price = (dice.fraction() * 1000).toFixed(2);
  const url = `https://example.com/${word()}/${dice.below(100_000)}?q=${word()}`;
  const day = `2024-0${1 + dice.below(9)}-${10 + dice.below(18)}`;
  const note = `"${word()}, ${word()} ${word()}"`;
  return `${id},${dice.below(1e6)},${dice.instant()},${word()},${word().slice(0, 2)},${price},${dice.below(100)},${dice.fraction().toFixed(4)},${dice.below(2) === 0},${dice.hex(32)},${url},https://ref.example.org/${word()},${day},${dice.fraction()},${note}\n`;
}

export function eventRow(dice: Dice, id: number): string {
  const items = Array.from({ length: 1 + dice.below(3) }, () => ({
    sku: dice.hex(10),
    qty: dice.below(10),
    price: dice.below(10_000) / 100,
  }));
  const user = {
    id: dice.below(1e6),
    name: `${dice.word()}${dice.below(1000)}`,
    email: `${dice.hex(8)}@example.com`,
    geo: { lat: dice.fraction() * 180 - 90, lon: dice.fraction() * 360 - 180 },
  };
  return `${JSON.stringify({
    id,
    ts: dice.instant(),
    type: dice.word(),
    user,
    items,
    tags: Array.from({ length: dice.below(4) }, () => dice.word()),
    total: dice.below(100_000) / 100,
    active: dice.below(2) === 0,
    session: dice.hex(32),
    note: dice.below(10) === 0 ? null : `${dice.word()} ${dice.word()}`,
    count: dice.below(1000),
  })}\n`;
}

/** Writes rows until the file has about `bytes` bytes; returns the number of rows. */
export async function writeRows(
  path: string,
  header: string,
  row: (dice: Dice, id: number) => string,
  bytes: number,
  seed = 1,
): Promise<number> {
  const dice = new Dice(seed);
  const file = await open(path, "w");
  let written = 0;
  let pending = header;
  let rows = 0;
  while (written + pending.length < bytes) {
    pending += row(dice, rows++);
    if (pending.length < 1 << 20) continue;
    written += (await file.write(pending)).bytesWritten;
    pending = "";
  }
  await file.write(pending);
  await file.close();
  return rows;
}
