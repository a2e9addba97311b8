// The variables a state can see: its own flow's and, to read, those around it. The children of a distributed map begin with none.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html

import type { Json, JsonRecord } from "../template.ts";
import { byteLength, PAYLOAD_BYTES_MAX, StatesError } from "./failure.ts";

const EXECUTION_BYTES_MAX = 10 * 1024 * 1024;

export class Variables {
  readonly #parent: Variables | undefined;
  readonly #own = new Map<string, { readonly value: Json; readonly sizeBytes: number }>();

  constructor(parent?: Variables) {
    this.#parent = parent;
  }

  all(): JsonRecord {
    const all = this.#parent?.all() ?? {};
    for (const [name, { value }] of this.#own) all[name] = value;
    return all;
  }

  assign(values: JsonRecord): void {
    if (byteLength(values) > PAYLOAD_BYTES_MAX) {
      throw new StatesError("States.DataLimitExceeded", "The variables that one state assigns exceed 256 KiB.");
    }
    for (const [name, value] of Object.entries(values)) this.#own.set(name, { value, sizeBytes: byteLength(value) });
    if (this.#sizeBytes() > EXECUTION_BYTES_MAX) {
      throw new StatesError("States.DataLimitExceeded", "The variables of the execution exceed 10 MiB.");
    }
  }

  #sizeBytes(): number {
    const around = this.#parent === undefined ? 0 : this.#parent.#sizeBytes();
    return [...this.#own.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, around);
  }
}
