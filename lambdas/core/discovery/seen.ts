// Sorted manifests of files whose fate the ledger has confirmed, so that a relisting asks the ledger only about what is new.
// Safe when stale: an entry is one version (key, ETag, size, LastModified) whose fate is on record for ever; what has no entry is asked for.

import type { ListedObject, ObjectStore } from "../ports.ts";
import type { SeenSegment } from "./model.ts";

export interface SeenIndex {
  /** In order of `first`; may overlap. */
  readonly segments: readonly SeenSegment[];
}

/** Looks listed objects up, in order of their keys, with a bounded number of segments in memory. */
export class SeenReader {
  constructor(_store: ObjectStore, _index: SeenIndex) {
    throw new Error("to be built");
  }

  /** Whether each object has an entry. `objects` in order; calls may come for several stretches at once. A segment that is gone has none. */
  has(_objects: readonly ListedObject[]): Promise<readonly boolean[]> {
    throw new Error("to be built");
  }
}

/** Collects confirmed objects stretch by stretch and writes segments. */
export class SeenWriter {
  constructor(_store: ObjectStore, _folder: string, _name: () => string) {
    throw new Error("to be built");
  }

  /** `confirmed`: objects of the stretch, in order. Stretches may come in any order. */
  add(_confirmed: readonly ListedObject[]): void {
    throw new Error("to be built");
  }

  /** Entries held in memory, in bytes. */
  get heldBytes(): number {
    throw new Error("to be built");
  }

  /** Uploads what is held; the segments written by this call. */
  flush(): Promise<readonly SeenSegment[]> {
    throw new Error("to be built");
  }
}
