// The order S3 lists keys in: UTF-8 bytes. JavaScript's own order is UTF-16 code units, which differs for characters beyond
// U+FFFF: they sort before U+E000..U+FFFF unless corrected.

/** Negative: `a` comes first. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return weight(x) - weight(y);
  }
  return a.length - b.length;
}

/** Moves surrogates above the rest of the basic plane, which makes code units sort like code points. */
function weight(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
