// Avro's primitive encodings (https://avro.apache.org/docs/1.11.1/specification/), read from bytes that anybody may have written.
// Running past the end, or a length that cannot be, is Corrupt and names the file and the position: the file was cut short or
// damaged, and nothing may be allocated or looped over that its bytes do not pay for.

import { MoraineError } from "../errors.ts";

export class AvroSource {
  readonly #bytes: Buffer;
  readonly #name: string;
  #position = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
  }

  get position(): number {
    return this.#position;
  }

  atEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  /** A view, not a copy. */
  readRaw(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw this.corrupt("avro file ends too early");
    const bytes = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return bytes;
  }

  readByte(): number {
    const byte = this.#bytes[this.#position++];
    if (byte === undefined) throw this.corrupt("avro file ends too early");
    return byte;
  }

  readInt(): number {
    const value = Number(this.readLong());
    if (value !== (value | 0)) throw this.corrupt("avro int is out of range");
    return value;
  }

  readLong(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.readByte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt((low >>> 1) ^ -(low & 1));
    }
    let rest = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.readByte();
      rest |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (rest >> 1n) ^ -(rest & 1n));
    }
    throw this.corrupt("avro long is longer than ten bytes");
  }

  readLength(): number {
    const length = Number(this.readLong());
    if (length < 0 || length > this.#bytes.length) throw this.corrupt("avro length is out of range");
    return length;
  }

  /**
   * Item count of the next block of an array or map; 0 ends it. A negative count is followed by the block's size. More items than
   * bytes are refused: items without bytes exist only in damaged files, where their number could be anything.
   */
  readBlockCount(): number {
    const count = Number(this.readLong());
    if (count < 0) this.readLong();
    if (Math.abs(count) > this.#bytes.length - this.#position) throw this.corrupt("avro count is out of range");
    return Math.abs(count);
  }

  readFloat(): number {
    return this.readRaw(4).readFloatLE(0);
  }

  readDouble(): number {
    return this.readRaw(8).readDoubleLE(0);
  }

  readString(): string {
    return this.readRaw(this.readLength()).toString("utf8");
  }

  corrupt(message: string, cause?: unknown): MoraineError {
    return new MoraineError("Corrupt", message, { file: this.#name, position: this.#position }, cause);
  }
}
