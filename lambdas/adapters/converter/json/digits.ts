// How many digits a number has, by how it is written: what a decimal must have room for to hold it.

/** A number with an exponent is taken up to as many digits (strict-cast.ts). */
const SCIENTIFIC_DIGITS_MAX = 15;
export const SCIENTIFIC = /^\s*([+-]?)(\d*)\.?(\d*)[eE]([+-]?\d{1,3})\s*$/;
const DIGITS = /^\s*[+-]?0*(\d*)(?:\.(\d*?)0*)?\s*$/;

export interface Digits {
  /** Before the point, without zeros at the start. */
  readonly whole: number;
  /** After it, without zeros at the end. */
  readonly fraction: number;
}

/** Undefined: no decimal takes it as it is written. */
export function digitsOf(number: string): Digits | undefined {
  const plain = withoutExponent(number);
  const match = plain === undefined ? null : DIGITS.exec(plain);
  return match === null ? undefined : { whole: match[1]?.length ?? 0, fraction: match[2]?.length ?? 0 };
}

/** The same number without an exponent, unless it has too many digits to be taken with one. */
function withoutExponent(text: string): string | undefined {
  const match = SCIENTIFIC.exec(text);
  if (match === null) return text;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  if (whole.length + fraction.length > SCIENTIFIC_DIGITS_MAX) return undefined;
  const shift = Number(exponent);
  const digits = `${"0".repeat(Math.max(0, -shift))}${whole}${fraction}${"0".repeat(Math.max(0, shift))}`;
  const point = Math.max(0, -shift) + whole.length + shift;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}
