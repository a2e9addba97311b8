// Whether JSON text holds anything that DuckDB takes and the standard does not: commas before a closing bracket, NaN and Infinity, form
// feeds and vertical tabs. Told while the text is spooled, by the engine's fast searches (1 GB/s on one core), and may be wrong in one way
// only: a string may hold the same characters. What looks odd is scanned (json/scan.ts).

const COMMA_BEFORE_BRACKET = /[}\]](?<=,\s*.)/;
/** DuckDB reads these in any case. The first expression is the fast one; words such as INFO or Ian are told apart by the second. */
const MAYBE_NO_NUMBER = /[:,[\s-][nNiI][aAnN][nNfF][\s,}\]iI]/;
const NO_NUMBER = /[:,[\s-](?:nan|inf(?:inity)?)[\s,}\]]/i;
/** Longer than ` -Infinity,`, which may lie on a seam. */
const SEAM = 12;
/** Searched at once: what stays in the processor's cache. */
const WINDOW_BYTES = 64 * 1024;

export class OddJson {
  #found = false;
  #tail = " ";

  get found(): boolean {
    return this.#found;
  }

  add(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let at = 0; at < bytes.length && !this.#found; at += WINDOW_BYTES) {
      this.#look(bytes.subarray(at, at + WINDOW_BYTES));
    }
  }

  #look(bytes: Buffer): void {
    const text = bytes.toString("latin1");
    const seam = this.#tail + text.trimStart().slice(0, SEAM);
    this.#found = bytes.includes(0x0c) || bytes.includes(0x0b) || isOdd(text) || isOdd(seam);
    const end = text.trimEnd();
    // White space alone leaves what stood before it.
    if (end !== "") {
      const known = (this.#tail + end.slice(-SEAM)).slice(-SEAM);
      this.#tail = end.length < text.length ? `${known} ` : known;
    }
  }
}

function isOdd(text: string): boolean {
  return COMMA_BEFORE_BRACKET.test(text) || (MAYBE_NO_NUMBER.test(text) && NO_NUMBER.test(text));
}
