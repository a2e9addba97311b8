// The backfill queue in memory: what was sent, in order. It refuses what SQS refuses: a message that is empty or too large.

import { MoraineError } from "../../lambdas/core/errors.ts";
import { type ObjectEvent, parseIntake } from "../../lambdas/core/events.ts";
import type { EventSink } from "../../lambdas/core/ports.ts";

const MESSAGE_BYTES_MAX = 256 * 1024;

export class MemoryEventSink implements EventSink {
  /** Bodies not taken yet. */
  readonly bodies: string[] = [];
  readonly calls = new Map<string, number>();

  async send(bodies: readonly string[]): Promise<void> {
    this.calls.set("send", (this.calls.get("send") ?? 0) + 1);
    for (const body of bodies) {
      const sizeBytes = Buffer.byteLength(body);
      if (sizeBytes > MESSAGE_BYTES_MAX || sizeBytes === 0) {
        const facts = { sizeBytes, sizeBytesMax: MESSAGE_BYTES_MAX };
        throw new MoraineError("Invalid", "a message must have between one byte and the queue's limit", facts);
      }
    }
    this.bodies.push(...bodies);
  }

  // ---- for tests ----

  /** Events of all bodies not taken yet, as the load function reads them. */
  events(): ObjectEvent[] {
    return this.bodies.map(parseIntake).flatMap((intake) => (intake.kind === "events" ? [...intake.events] : []));
  }
}
