// How keys lie in a simulated bucket: shapes that listings and splits find easy, and those they do not.

import type { World } from "../world.ts";

export const PREFIX = "in/";
export const NESTED_PREFIX = "in/nested/";
export const PATTERN = "%Y/%m/%d";
const DAY_MS = 86_400_000;

export type LayoutName = "flat" | "foldered" | "dates" | "skewed" | "unicode" | "hostile";
export const LAYOUTS: readonly LayoutName[] = ["flat", "foldered", "dates", "skewed", "unicode", "hostile"];

/** A good part of the keys of each layout. */
export const TAKEN_PREFIX: Readonly<Record<LayoutName, string>> = {
  flat: "in/f000",
  foldered: "in/b/",
  dates: "in/2025/",
  skewed: "in/m/",
  unicode: "in/A",
  hostile: "in/a",
};

const UNICODE = ["ä", "é", "ß", "語", "\u{1f600}", "\u{ffee}", "\u{10ffff}", "z", "A", "0"];
const HOSTILE = [
  " ",
  "%",
  "+",
  "%2F",
  "//",
  "..",
  "#",
  "?",
  "&",
  "'",
  '"',
  "\\",
  "\t",
  "\u007f",
  "~",
  "!",
  "*",
  "[a]",
  "{b}",
  "a",
];

/** A key that may be new or not. `serial` grows with time, for layouts whose keys do. */
export function keyOf(layout: LayoutName, world: World, serial: number): string {
  if (world.chance(0.06)) return `${NESTED_PREFIX}${world.upTo(6)}`;
  if (world.chance(0.04)) return `${PREFIX}${world.pick(["a/", "b/", "2026/"])}`;
  if (world.chance(0.05)) return `${PREFIX}skip-${world.upTo(9)}`;
  return PREFIX + pathOf(layout, world, serial);
}

function pathOf(layout: LayoutName, world: World, serial: number): string {
  const digits = (n: number, width = 4) => n.toString().padStart(width, "0");
  const texts = (letters: readonly string[]) =>
    Array.from({ length: 1 + world.upTo(4) }, () => world.pick(letters)).join("") + digits(world.upTo(3), 1);
  switch (layout) {
    case "flat":
      return `f${digits(world.chance(0.8) ? serial : world.upTo(serial + 1))}`;
    case "foldered":
      return `${world.pick(["a", "b", "c"])}/${world.upTo(3)}/${digits(world.upTo(60))}`;
    case "dates": {
      const day = new Date(world.now() + (world.upTo(8) - 5) * DAY_MS).toISOString().slice(0, 10);
      return `${day.replaceAll("-", "/")}/${digits(world.upTo(30))}.json`;
    }
    case "skewed":
      return world.chance(0.85)
        ? `m/${"x".repeat(40)}${digits(world.upTo(120))}`
        : `${world.pick(["a", "z"])}/${serial}`;
    case "unicode":
      return texts(UNICODE);
    case "hostile":
      return texts(HOSTILE);
  }
}
