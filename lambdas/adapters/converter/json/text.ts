// Steps over JSON text that is known to be valid, for whoever walks it by hand.

const BACKSLASH = 0x5c;

/** Behind the closing quote of the string that opens here, or -1. (One regular expression for a string of megabytes overflows V8's stack.) */
export function stringEnd(text: string, open: number): number {
  let quote = text.indexOf('"', open + 1);
  while (quote > 0 && isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return quote > 0 ? quote + 1 : -1;
}

function isEscaped(text: string, quote: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(quote - 1 - slashes) === BACKSLASH) slashes++;
  return slashes % 2 === 1;
}

/** What the string means that stands from its one quote to behind its other. */
export function stringValue(text: string, open: number, end: number): string {
  const raw = text.slice(open + 1, end - 1);
  return raw.includes("\\") ? (JSON.parse(`"${raw}"`) as string) : raw;
}

/** Of the next character that is no white space; the length of the text if there is none. */
export function skipSpace(text: string, from: number): number {
  for (let at = from; ; at++) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
  }
}

/** Goes over a text from place to place; `at` is behind what was gone over last. */
export class TextWalk {
  protected text = "";
  protected at = 0;

  protected start(text: string): void {
    this.text = text;
    this.at = 0;
  }

  /** The next character that is no white space. */
  protected next(): number {
    this.at = skipSpace(this.text, this.at);
    return this.text.charCodeAt(this.at);
  }

  /** What the string that opens here means. */
  protected string(): string {
    const open = this.at;
    this.skipString();
    return stringValue(this.text, open, this.at);
  }

  protected skipString(): void {
    const end = stringEnd(this.text, this.at);
    if (end < 0) throw new Error("not a JSON text");
    this.at = end;
  }

  /** Over the object or list that opens here. */
  protected skipNested(): void {
    for (let open = 0; ; ) {
      const inner = this.next();
      if (inner === 0x22) this.skipString();
      else {
        if (this.at >= this.text.length) throw new Error("not a JSON value");
        this.at++;
        if (inner === 0x7b || inner === 0x5b) open++;
        else if ((inner === 0x7d || inner === 0x5d) && --open === 0) return;
      }
    }
  }
}
