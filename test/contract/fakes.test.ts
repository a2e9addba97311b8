// The contracts against the fakes: what a test on fakes proves holds for the real services as far as these suites go.

import type { ObjectUri } from "../../lambdas/core/ids.ts";
import { ManualClock } from "../fakes/manual-clock.ts";
import { MemoryCaches } from "../fakes/memory-caches.ts";
import { MemoryEventSink } from "../fakes/memory-event-sink.ts";
import { MemoryLedger } from "../fakes/memory-ledger.ts";
import { MemoryLister, SequenceLister } from "../fakes/memory-lister.ts";
import { MemoryObjectStore } from "../fakes/memory-object-store.ts";
import { MemoryPointer } from "../fakes/memory-pointer.ts";
import { MemoryQueues } from "../fakes/memory-queues.ts";
import { eventSinkContract } from "./event-sink.contract.ts";
import { knownFilesContract } from "./known-files.contract.ts";
import { ledgerContract } from "./ledger.contract.ts";
import { listerContract } from "./lister.contract.ts";
import { objectStoreContract } from "./object-store.contract.ts";
import { pointerContract } from "./pointer.contract.ts";
import { queuesContract } from "./queues.contract.ts";

const close = async () => {};

objectStoreContract("memory", async () => ({ store: new MemoryObjectStore(new ManualClock()), bucket: "b", close }));

listerContract("memory", async (keys) => {
  const store = new MemoryObjectStore(new ManualClock());
  for (const key of keys) await store.put(`s3://b/${key}` as ObjectUri, Buffer.from(key));
  return { lister: new MemoryLister(store), bucket: "b", close };
});

listerContract("memory, any sorted keys", async (keys) => ({ lister: new SequenceLister(keys), bucket: "b", close }));

ledgerContract("memory", async () => ({ ledger: new MemoryLedger(), close }));

pointerContract("memory", async () => {
  const pointer = new MemoryPointer(["audit"]);
  return { pointer, database: "audit", drop: async (name) => pointer.drop(name), close };
});

queuesContract("memory", async () => {
  const queues = new MemoryQueues(new ManualClock());
  return {
    queues,
    takeIntake: async () => queues.intake.splice(0),
    takeHints: async () => queues.hints.splice(0),
    close,
  };
});

eventSinkContract("memory", async () => {
  const sink = new MemoryEventSink();
  return { sink, take: async () => sink.bodies.splice(0), close };
});

knownFilesContract("memory", async () => {
  const caches = new MemoryCaches(new ManualClock());
  return { caches: caches.of, flush: async () => caches.flush(), close };
});
