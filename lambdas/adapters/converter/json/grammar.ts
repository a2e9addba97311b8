// What JSON's grammar allows next, byte by byte: the states of json/scan.ts, and the steps within a number.

export const State = {
  top: 0,
  value: 1,
  firstValue: 2,
  firstKey: 3,
  key: 4,
  colon: 5,
  after: 6,
  string: 7,
  escape: 8,
  hex: 9,
  continuation: 10,
  word: 11,
  minus: 12,
  zero: 13,
  whole: 14,
  point: 15,
  fraction: 16,
  exponent: 17,
  exponentSign: 18,
  exponentDigits: 19,
  halfPair: 20,
  halfPairEscape: 21,
  end: 22,
} as const;

export const QUOTE = 0x22;
export const SLASH = 0x5c;

/** The place of the next byte in a string that is not plain text. */
export function skipPlain(piece: Buffer, from: number): number {
  let i = from;
  for (; i < piece.length; i++) {
    const byte = piece[i] as number;
    if (byte === QUOTE || byte === SLASH || byte < 0x20 || byte >= 0x80) return i;
  }
  return i;
}

export function isNumberEnd(state: number): boolean {
  return state === State.zero || state === State.whole || state === State.fraction || state === State.exponentDigits;
}

export function numberStep(state: number, byte: number): number | undefined {
  const isDigit = byte >= 0x30 && byte <= 0x39;
  switch (state) {
    case State.minus:
      return byte === 0x30 ? State.zero : isDigit ? State.whole : undefined;
    case State.zero:
    case State.whole:
      if (isDigit && state === State.whole) return State.whole;
      return byte === 0x2e ? State.point : exponentAt(byte);
    case State.point:
      return isDigit ? State.fraction : undefined;
    case State.fraction:
      return isDigit ? State.fraction : exponentAt(byte);
    case State.exponent:
      return byte === 0x2b || byte === 0x2d ? State.exponentSign : isDigit ? State.exponentDigits : undefined;
    default:
      return isDigit ? State.exponentDigits : undefined;
  }
}

function exponentAt(byte: number): number | undefined {
  return (byte | 0x20) === 0x65 ? State.exponent : undefined;
}
