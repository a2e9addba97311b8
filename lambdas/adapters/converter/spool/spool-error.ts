// Why a source could not be taken into the work directory: its own fault, with a reason and a remedy for its owner.

export class SpoolError extends Error {
  readonly reason: string;
  readonly place: { readonly line?: number; readonly byte?: number };
  constructor(reason: string, message: string, place: { readonly line?: number; readonly byte?: number } = {}) {
    super(message);
    this.reason = reason;
    this.place = place;
  }
}
