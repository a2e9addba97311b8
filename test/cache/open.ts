// The adapter as the tests of this folder open it: on a clock that stands still, with bounds long enough for a machine that does much else.

import { ValkeyConnection, type ValkeyOptions } from "../../lambdas/adapters/valkey-connection.ts";
import { ValkeyKnownFiles } from "../../lambdas/adapters/valkey-known-files.ts";
import type { KnownFilesCache } from "../../lambdas/core/discovery/known-files.ts";
import type { IngestionId } from "../../lambdas/core/ids.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { listed } from "../unit/discovery/listed.ts";

export const SCOPE = { ledgerId: "ledger", ingestion: "orders" as IngestionId, bucket: "landing" };
export const BOUNDS = { connectMs: 2_000, callMs: 2_000, restMs: 10_000 };

export const A = listed("orders/a");
export const OBJECTS = Array.from({ length: 1000 }, (_, n) => listed(`orders/${n}`));
export const NOTHING = OBJECTS.map(() => false);
export const ALL = OBJECTS.map(() => true);

export interface Opened {
  readonly clock: ManualClock;
  readonly connection: ValkeyConnection;
  readonly files: ValkeyKnownFiles;
  readonly cache: KnownFilesCache;
}

const connections: ValkeyConnection[] = [];

/** Closed by `closeAll`. */
export function open(url: string, options: Partial<ValkeyOptions> = {}, ledgerId = SCOPE.ledgerId): Opened {
  const clock = new ManualClock();
  const connection = new ValkeyConnection({ url, clock, bounds: BOUNDS, ...options });
  const files = new ValkeyKnownFiles({ connection, ledgerId, ttlSeconds: 3600 });
  connections.push(connection);
  return { clock, connection, files, cache: files.of(SCOPE.ingestion, SCOPE.bucket) };
}

export async function closeAll(): Promise<void> {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
}
