// Clock, randomness and timer of the machine: the only places they enter Moraine.
// UUIDs are version 7 (RFC 9562 section 5.7): ids made later sort later, so a listing by id is a listing by time.

import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { Clock, Random, Timer } from "../core/ports.ts";

export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }
}

export class SystemRandom implements Random {
  uuid(): string {
    return uuidV7(Date.now(), randomBytes(10));
  }

  fraction(): number {
    return Math.random();
  }
}

export class SystemTimer implements Timer {
  sleep(ms: number): Promise<void> {
    return wait(ms);
  }
}

/** `random`: 10 bytes, of which 6 bits give way to version and variant. */
export function uuidV7(timeMs: number, random: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(timeMs, 0, 6);
  bytes.set(random.subarray(0, 10), 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
