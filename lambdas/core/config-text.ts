// Small things about configured texts that functions need as well: apart from the reader, so that no YAML parser travels with them.

/** The complaint about a text, or undefined. */
export type Check = (text: string) => string | undefined;

/** Short enough for one line of a message. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(s|m|h|d)$/.exec(text);
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[match?.[2] ?? ""];
  return unit === undefined ? undefined : Number(match?.[1]) * unit;
}
