// Who takes up what is found: the real load pipeline, committers and the sweeper, with faults of their own.

import { commitTable } from "../../../lambdas/core/commit.ts";
import type { MoraineConfig } from "../../../lambdas/core/config.ts";
import { PointerCatalog } from "../../../lambdas/core/iceberg/pointer-catalog.ts";
import { type TableName, tableIdOf } from "../../../lambdas/core/ids.ts";
import { load } from "../../../lambdas/core/pipeline.ts";
import { BATCH_PREFIX, tablePartition } from "../../../lambdas/core/records.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { sweepTables } from "../../../lambdas/core/sweep.ts";
import type { MemoryLedger } from "../../fakes/memory-ledger.ts";
import type { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import type { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { MemoryQueues } from "../../fakes/memory-queues.ts";
import { type FaultRates, Invocation, NO_FAULTS } from "../invocation.ts";
import { Mailbox } from "../mailbox.ts";
import { RowConverter } from "../row-converter.ts";
import { INVOCATION_MS, settingsUnder, VISIBILITY_MS } from "../settings.ts";
import type { World } from "../world.ts";

const SETTINGS = settingsUnder(NO_FAULTS);

export interface LoadingPorts {
  readonly world: World;
  readonly store: MemoryObjectStore;
  readonly ledger: MemoryLedger;
  readonly pointer: MemoryPointer;
}

export class Loading {
  readonly intake: Mailbox;
  readonly #ports: LoadingPorts;
  readonly #queues: MemoryQueues;
  readonly #config: () => MoraineConfig;
  readonly #rates: () => FaultRates;
  readonly #tables: readonly TableName[];
  #invocations = 0;

  constructor(ports: LoadingPorts, config: () => MoraineConfig, rates: () => FaultRates) {
    this.#ports = ports;
    this.#config = config;
    this.#rates = rates;
    this.#tables = config().ingestions.map(({ target }) => target);
    this.intake = new Mailbox(ports.world);
    this.#queues = new MemoryQueues(ports.world);
  }

  async isIdle(): Promise<boolean> {
    if (this.intake.size > 0 || this.#queues.intake.length > 0) return false;
    for (const table of this.#tables) {
      for await (const _batch of this.#ports.ledger.list(tablePartition(tableIdOf(table)), BATCH_PREFIX)) return false;
    }
    return true;
  }

  async load(): Promise<void> {
    const { world } = this.#ports;
    for (const body of this.#queues.intake.splice(0)) this.intake.post(body);
    const letters = this.intake.receive(10, VISIBILITY_MS);
    if (letters.length === 0) return;
    const route = createRouter(this.#config().ingestions);
    const deadlineMs = world.now() + INVOCATION_MS / 2;
    const report = await load({ ports: this.#invoke("load"), settings: SETTINGS, route, deadlineMs }, letters);
    const retry = new Set(report.retry);
    for (const { id } of letters) {
      if (retry.has(id)) this.intake.returnLater(id, world.upTo(4_000));
      else this.intake.acknowledge(id);
    }
  }

  /** Without waiting for hints: what is sealed is committed. */
  async commit(): Promise<void> {
    this.#queues.hints.length = 0;
    const { world } = this.#ports;
    const deadlineMs = world.now() + INVOCATION_MS / 2;
    for (const table of this.#tables) {
      await commitTable({ ports: this.#invoke("commit"), settings: SETTINGS, deadlineMs }, table);
    }
  }

  async sweep(): Promise<void> {
    const deadlineMs = this.#ports.world.now() + INVOCATION_MS / 2;
    const context = { ports: this.#invoke("sweep"), settings: SETTINGS, deadlineMs, turn: 0 };
    for (const { errors } of await sweepTables(context, this.#tables)) for (const error of errors) throw error;
  }

  #invoke(kind: string) {
    const { world, store: realStore, ledger: realLedger, pointer: realPointer } = this.#ports;
    const invocation = new Invocation(world, `${kind}${this.#invocations++}`, INVOCATION_MS, this.#rates);
    const store = invocation.wrap("store", realStore, ["list"]);
    const ledger = invocation.wrap("ledger", realLedger, ["list", "listIndex"]);
    const pointer = invocation.wrap("pointer", realPointer);
    const catalog = new PointerCatalog({ store, pointer, clock: world, random: world.random });
    const queues = invocation.wrap("queues", this.#queues);
    return { clock: world, random: world.random, store, ledger, catalog, queues, converter: new RowConverter() };
  }
}
