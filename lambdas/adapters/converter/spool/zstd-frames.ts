// Where one zstd frame ends and the next begins. A .zst file is any number of frames (log shippers append them, pzstd writes one per
// part), and Node's decompressor stops after the first without a word: rows would be lost silently (Node 24).
// Format: RFC 8878, section 3.1.1. Only headers are read; block contents are stepped over.

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

type Step = "magic" | "descriptor" | "header" | "block" | "content" | "checksum" | "skippable size" | "skippable";

export class ZstdFrames {
  #step: Step = "magic";
  /** Bytes of this step still to come. */
  #left = 4;
  /** Bytes of this step as a little-endian number; only steps of up to four bytes are looked at. */
  #value = 0;
  #shift = 0;
  #checksum = false;
  #lastBlock = false;
  /** The frame being read holds no data. */
  skippable = false;
  /** The last `advance` stopped at the end of a frame. */
  ended = true;

  /** Steps through `bytes` from `at` to the end of the frame or of the bytes, and says where it stopped. Throws on what is no frame. */
  advance(bytes: Uint8Array, at: number): number {
    this.ended = false;
    while (at < bytes.length) {
      if (this.#step === "content" || this.#step === "skippable" || this.#step === "header") {
        const taken = Math.min(this.#left, bytes.length - at);
        at += taken;
        this.#left -= taken;
      } else {
        this.#value += (bytes[at++] as number) * 2 ** this.#shift;
        this.#shift += 8;
        this.#left--;
      }
      while (this.#left === 0 && !this.ended) this.#finish();
      if (this.ended) return at;
    }
    return at;
  }

  #finish(): undefined {
    const value = this.#value;
    switch (this.#step) {
      case "magic":
        this.skippable = value - (value % 16) === SKIPPABLE_MAGIC;
        if (!this.skippable && value !== FRAME_MAGIC) throw new Error("not a zstd frame");
        return this.skippable ? this.#expect("skippable size", 4) : this.#expect("descriptor", 1);
      case "skippable size":
        return this.#expect("skippable", value);
      case "descriptor":
        this.#checksum = (value & 4) !== 0;
        return this.#expect("header", headerBytes(value));
      case "header":
        return this.#expect("block", 3);
      case "block": {
        this.#lastBlock = (value & 1) === 1;
        const repeated = ((value >> 1) & 3) === 1;
        return this.#expect("content", repeated ? 1 : value >> 3);
      }
      case "content":
        if (!this.#lastBlock) return this.#expect("block", 3);
        return this.#checksum ? this.#expect("checksum", 4) : this.#end();
      case "checksum":
      case "skippable":
        return this.#end();
    }
  }

  #expect(step: Step, bytes: number): undefined {
    this.#step = step;
    this.#left = bytes;
    this.#value = 0;
    this.#shift = 0;
  }

  #end(): undefined {
    this.ended = true;
    this.#expect("magic", 4);
  }
}

/** Of the frame header after its descriptor: window, dictionary id, content size. */
function headerBytes(descriptor: number): number {
  const singleSegment = (descriptor & 32) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] as number;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  return (singleSegment ? 0 : 1) + dictionary + contentSize;
}

/** Whether the bytes are one frame with data and nothing after it. */
export function isSingleFrame(bytes: Uint8Array): boolean {
  const frames = new ZstdFrames();
  try {
    return frames.advance(bytes, 0) === bytes.length && frames.ended && !frames.skippable;
  } catch {
    return false;
  }
}

/** The frames with data of a body. Each must be read to its end before the next is asked for. */
export async function* framesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<AsyncIterable<Uint8Array>> {
  const iterator = body[Symbol.asyncIterator]();
  const frames = new ZstdFrames();
  let rest: Uint8Array = new Uint8Array();
  const more = async (): Promise<boolean> => {
    while (rest.length === 0) {
      const next = await iterator.next();
      if (next.done === true) return false;
      rest = next.value;
    }
    return true;
  };
  async function* frame(): AsyncGenerator<Uint8Array> {
    do {
      const end = frames.advance(rest, 0);
      const piece = rest.subarray(0, end);
      rest = rest.subarray(end);
      yield piece;
    } while (!frames.ended && (await more()));
  }
  while (await more()) {
    yield frame();
  }
}
