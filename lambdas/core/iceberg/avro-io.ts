// Avro's primitive encodings (https://avro.apache.org/docs/1.11.1/specification/): a growing sink and a checked source.
// Reading past the end, or a length that cannot be, is Corrupt and names the file and the position.

import { assert, MoraineError } from "../errors.ts";

export type AvroType = string | readonly AvroType[] | AvroObject;
export interface AvroObject {
  readonly type: AvroType;
  readonly name?: string;
  readonly namespace?: string;
  readonly fields?: readonly { readonly name: string; readonly type: AvroType }[];
  readonly items?: AvroType;
  readonly values?: AvroType;
  readonly size?: number;
  readonly symbols?: readonly string[];
}

export function isUnion(type: AvroType): type is readonly AvroType[] {
  return Array.isArray(type);
}

/** Bytes being written; grows by doubling. */
export class AvroSink {
  #bytes: Buffer = Buffer.allocUnsafe(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Everything written so far; the sink is empty afterwards. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return bytes;
  }

  writeRaw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  writeByte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** Zigzag varint; numbers must be safe integers. */
  writeLong(value: number | bigint): void {
    this.#reserve(10);
    if (typeof value === "number" && value >= -0x40000000 && value < 0x40000000) {
      let rest = ((value << 1) ^ (value >> 31)) >>> 0;
      for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      this.#bytes[this.#length++] = rest;
      return;
    }
    const wide = BigInt(value);
    assert(BigInt.asIntN(64, wide) === wide, `not an int64: ${wide}`);
    let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(rest);
  }

  writeFloat(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeFloatLE(value, this.#length);
  }

  writeDouble(value: number): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  writeBytes(bytes: Uint8Array): void {
    this.writeLong(bytes.length);
    this.writeRaw(bytes);
  }

  writeString(text: string): void {
    this.writeBytes(Buffer.from(text, "utf8"));
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** Bytes being read. Running past the end is Corrupt: the file was cut short. */
export class AvroSource {
  readonly #bytes: Buffer;
  readonly #name: string;
  #position = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
  }

  atEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  /** A view, not a copy. */
  readRaw(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw this.#corrupt("avro file ends too early");
    const bytes = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return bytes;
  }

  readByte(): number {
    const byte = this.#bytes[this.#position++];
    if (byte === undefined) throw this.#corrupt("avro file ends too early");
    return byte;
  }

  readInt(): number {
    const value = Number(this.readLong());
    if (value !== (value | 0)) throw this.#corrupt("avro int is out of range");
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
    throw this.#corrupt("avro long is longer than ten bytes");
  }

  readLength(): number {
    const length = Number(this.readLong());
    if (length < 0 || length > this.#bytes.length) throw this.#corrupt("avro length is out of range");
    return length;
  }

  /**
   * Item count of the next block of an array or map; 0 ends it. A negative count is followed by the block's size. More items than
   * bytes are refused: items without bytes exist only in damaged files, where their number could be anything.
   */
  readBlockCount(): number {
    const count = Number(this.readLong());
    if (count < 0) this.readLong();
    if (Math.abs(count) > this.#bytes.length - this.#position) throw this.#corrupt("avro count is out of range");
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

  #corrupt(message: string): MoraineError {
    return new MoraineError("Corrupt", message, { file: this.#name, position: this.#position });
  }
}
