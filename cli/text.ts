// Text for people: aligned columns, labelled lines, times, sizes. Pure.

/** Columns as wide as their widest cell, two spaces apart; numbers to the right. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => widthOf(line[column] ?? ""))));
  const right = header.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[\d,]*\+?$/.test(row[column] ?? "")),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => pad(cell, widths[column] ?? 0, right[column] === true))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** `label  value` lines, indented; undefined values are left out. */
export function formatFacts(facts: readonly (readonly [string, string | undefined])[]): string {
  const told = facts.filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...told.map(([label]) => label.length));
  return told.map(([label, value]) => `  ${label.padEnd(width)}  ${value}\n`).join("");
}

/** UTC, whole seconds. */
export function formatTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

export function formatCount(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let size = bytes;
  let unit = -1;
  while (size >= 1023.95 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size.toFixed(1)} ${UNITS[unit]}`;
}

export function formatDuration(ms: number): string {
  return ms < 1000 ? `${ms} ms` : ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

/** Code points: an object key may hold any, and must not bring its terminal escapes along. */
function widthOf(cell: string): number {
  return [...cell].length;
}

function pad(cell: string, width: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, width - widthOf(cell)));
  return right ? space + cell : cell + space;
}

/** Object keys and error messages come from outside: control characters are shown, not obeyed. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
