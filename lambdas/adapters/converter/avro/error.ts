// Why an Avro file cannot be read: with a reason and a remedy for its owner, and the byte of the file where it is known.

export class AvroError extends Error {
  readonly reason: string;
  readonly byte: number | undefined;
  constructor(reason: string, message: string, byte?: number) {
    super(message);
    this.reason = reason;
    this.byte = byte;
  }
}
