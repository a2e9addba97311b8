// Why a source could not be taken into the work directory: its own fault, with a reason and a remedy for its owner.

export class SpoolError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}
