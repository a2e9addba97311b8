// Whether a JSON scalar, as it is written, goes into a column of a type without being changed. The rules are those of the casts
// (json/read.ts, strict-cast.ts), and must take nothing that those refuse: a file would fail that was said to fit.

import { decimalOf, fixedLengthOf } from "../../../core/iceberg/type-text.ts";
import type { PrimitiveType } from "../../../core/iceberg/types.ts";
import { digitsOf, SCIENTIFIC } from "./digits.ts";
import { TEXT, textBits } from "./shape.ts";

/** `text`: a number, `true` or `false` as written, or the content of a string. */
export type Holds = (text: string, quoted: boolean) => boolean;

const BOOLEAN = /^(?:true|false|t|f|yes|no|y|n|1|0)$/i;
/** White space is what DuckDB and RE2 take for it: a no-break space is none. */
const WHOLE = /^[\t\n\f\r ]*[+-]?\d+(?:\.0*)?[\t\n\f\r ]*$/;
const SPECIAL = /^[+-]?(?:inf(?:inity)?|nan)$/i;
const NUMBER = /^[\t\n\f\r ]*[+-]?(?:\d+\.?|\d*\.\d+)(?:[eE][+-]?\d+)?[\t\n\f\r ]*$/;
const MIDNIGHT = /[T ]00:00(?::00(?:\.0+)?)?$/;
const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?$/;
const FLOAT_MAX = 3.4028234663852886e38;
const BITS = { int: 32, long: 64 } as const;

export function holdsOf(type: PrimitiveType): Holds {
  switch (type) {
    case "string":
      return () => true;
    case "boolean":
      return (text) => BOOLEAN.test(text);
    case "int":
    case "long":
      return wholeOf(BITS[type]);
    case "float":
    case "double":
      return (text) => isBoolean(text) || holdsDouble(text, type === "float");
    case "date":
      return (text, quoted) => holdsDay(text, quoted) || (MIDNIGHT.test(text) && holdsDay(text.slice(0, 10), quoted));
    case "timestamp":
      return timeOf(TEXT.timestamp | TEXT.date);
    case "timestamptz":
      return timeOf(TEXT.timestamptz | TEXT.timestamp | TEXT.date);
    case "uuid":
      return (text, quoted) => quoted && UUID.test(text);
    case "time":
      return (text, quoted) => quoted && TIME.test(text);
    case "binary":
      return (_, quoted) => quoted;
    default:
      return otherOf(type);
  }
}

function otherOf(type: PrimitiveType): Holds {
  const decimal = decimalOf(type);
  if (decimal !== undefined) {
    return (text) => isBoolean(text) || holdsDigits(text, decimal.scale, decimal.precision - decimal.scale);
  }
  const length = fixedLengthOf(type);
  return (text, quoted) => quoted && (length === undefined || Buffer.byteLength(text) === length);
}

function isBoolean(text: string): boolean {
  return text === "true" || text === "false";
}

const holdsDay = timeOf(TEXT.date);

function timeOf(bits: number): Holds {
  return (text, quoted) => quoted && (textBits(text) & bits) !== 0;
}

function wholeOf(bits: number): Holds {
  const digits = bits === 32 ? 9 : 18;
  return (text, quoted) => {
    if (text.length <= digits && /^-?\d+$/.test(text)) return true;
    if (isBoolean(text)) return true;
    if (!quoted && /[.eE]/.test(text)) {
      // DuckDB hands it on as a double: from 2^53 on its fraction is gone.
      const value = Number(text);
      return Number.isSafeInteger(value) && (bits === 64 || value === Math.trunc(value) << 0);
    }
    if (!WHOLE.test(text)) return SCIENTIFIC.test(text) && holdsDigits(text, 0, bits === 32 ? 9 : 18);
    const value = BigInt((/[+-]?\d+/.exec(text)?.[0] ?? "0").replace("+", ""));
    return BigInt.asIntN(bits, value) === value;
  };
}

function holdsDouble(text: string, narrow: boolean): boolean {
  if (SPECIAL.test(text)) return true;
  if (!NUMBER.test(text)) return false;
  const value = Number(text);
  if (!Number.isFinite(value) || (narrow && Math.abs(value) > FLOAT_MAX)) return false;
  const whole = text.length > 15 && /^\s*[+-]?\d+\s*$/.test(text);
  return !whole || (Math.abs(value) < 1e38 && BigInt(value) === BigInt(text.trim().replace("+", "")));
}

/** As many digits after the point as the scale, without zeros at the end. */
function holdsDigits(text: string, scale: number, wholeDigits: number): boolean {
  const digits = NUMBER.test(text) ? digitsOf(text) : undefined;
  return digits !== undefined && digits.fraction <= scale && digits.whole <= wholeDigits;
}
