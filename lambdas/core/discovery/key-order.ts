// The order S3 lists keys in: UTF-8 bytes. JavaScript's own order is UTF-16 code units, which differs for characters beyond
// U+FFFF: they sort before U+E000..U+FFFF unless corrected.

/** Negative: `a` comes first. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return unitOrder(x) - unitOrder(y);
  }
  return a.length - b.length;
}

/** Moves surrogates above the rest of the basic plane, which makes code units sort like code points. */
export function unitOrder(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Number of leading code units that are the same. */
export function sharedLength(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

/** A text behind everything that begins with `start`, and before all else that is behind it. Undefined: there is none to be had. */
export function endOfGroup(start: string): string | undefined {
  const last = start.codePointAt(start.length - 1) ?? 0;
  const whole = last >= 0xdc00 && last < 0xe000 ? (start.codePointAt(start.length - 2) ?? 0) : last;
  const next = nextCodePoint(whole);
  if (next === undefined || (whole >= 0xd800 && whole < 0xe000)) return undefined;
  return start.slice(0, start.length - (whole > 0xffff ? 2 : 1)) + String.fromCodePoint(next);
}

/** Leaves out surrogates, and U+FFFE and U+FFFF, which XML cannot carry. */
function nextCodePoint(point: number): number | undefined {
  if (point === 0xd7ff) return 0xe000;
  if (point === 0xfffd) return 0x10000;
  return point < 0x10ffff ? point + 1 : undefined;
}
