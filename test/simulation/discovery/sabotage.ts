// Switches single guards of discovery off, by lying at a port. Each must be noticed by the checkers within the seeds that CI runs.

import type { KnownFiles } from "../../../lambdas/core/discovery/known-files.ts";
import type { Revision } from "../../../lambdas/core/ids.ts";
import type {
  BucketLister,
  EventSink,
  Ledger,
  LedgerItem,
  ListRequest,
  WriteOutcome,
} from "../../../lambdas/core/ports.ts";
import type { World } from "../world.ts";

export const DISCOVERY_SABOTAGES = [
  /** Events leave some time after they were said to be sent, if the function lives that long. */
  "send-before-checkpoint",
  /** The next round begins without the shards of the last one being closed. */
  "closed-fence",
  /** Two functions of one shard both write their checkpoints. */
  "checkpoint-condition",
  /** The seen manifest knows all that was ever listed, confirmed or not. */
  "seen-only-confirmed",
  /** Whoever asks gets the ingestion. */
  "one-run-at-a-time",
  /** Who takes an ingestion over leaves the dead run's record as it is. */
  "dead-runs-fail",
] as const;

export type DiscoverySabotage = (typeof DISCOVERY_SABOTAGES)[number];

type Write = (item: LedgerItem, expected: Revision | "absent") => Promise<WriteOutcome>;

export class DiscoverySaboteur {
  readonly #sabotage: DiscoverySabotage | undefined;
  readonly #world: World;
  readonly #listed = new Set<string>();

  constructor(sabotage: DiscoverySabotage | undefined, world: World) {
    this.#sabotage = sabotage;
    this.#world = world;
  }

  ledger(real: Ledger): Ledger {
    const force: Write = async (item) => real.write(item, (await real.read(item.key))?.revision ?? "absent");
    switch (this.#sabotage) {
      case "closed-fence":
        return onWrite(real, isClosing, async () => ({ kind: "written" }));
      case "checkpoint-condition":
        return onWrite(real, isCheckpoint, force);
      case "one-run-at-a-time":
        return onWrite(real, ({ body }) => body["kind"] === "active", force);
      case "dead-runs-fail":
        return onWrite(real, isFailing, async () => ({ kind: "written" }));
      default:
        return real;
    }
  }

  /** `isDead`: of the function that sends. */
  events(real: EventSink, isDead: () => boolean): EventSink {
    if (this.#sabotage !== "send-before-checkpoint") return real;
    const world = this.#world;
    return {
      send: async (bodies) => {
        world.at(world.now() + 1_000, () => {
          if (!isDead()) void real.send(bodies);
        });
      },
    };
  }

  lister(real: BucketLister): BucketLister {
    if (this.#sabotage !== "seen-only-confirmed") return real;
    return {
      page: async (request: ListRequest) => {
        const page = await real.page(request);
        const at = this.#world.now() + 10_000;
        for (const { key, etag } of page.objects) this.#world.at(at, () => this.#listed.add(`${key}\n${etag}`));
        return page;
      },
    };
  }

  seen(real: KnownFiles | undefined): KnownFiles | undefined {
    if (this.#sabotage !== "seen-only-confirmed") return real;
    return { has: async (objects) => objects.map(({ key, etag }) => this.#listed.has(`${key}\n${etag}`)) };
  }
}

function onWrite(real: Ledger, applies: (item: LedgerItem) => boolean, instead: Write): Ledger {
  const write: Write = (item, expected) => (applies(item) ? instead(item, expected) : real.write(item, expected));
  return override(real, { write });
}

export function override<T extends object>(real: T, members: Partial<T>): T {
  return new Proxy(real, {
    get(target, property) {
      const own: unknown = Reflect.get(members, property);
      const member = own ?? Reflect.get(target, property, target);
      return typeof member === "function" && own === undefined ? member.bind(target) : member;
    },
  });
}

function isFailing({ body }: LedgerItem): boolean {
  return body["kind"] === "run" && body["status"] === "FAILED";
}

function isClosing({ body, revision }: LedgerItem): boolean {
  return body["kind"] === "shard" && revision.endsWith(":closed");
}

function isCheckpoint({ body, revision }: LedgerItem): boolean {
  return body["kind"] === "shard" && !revision.endsWith(":closed");
}
