// SQS: fauxqs (an implementation we did not write) behind our own front, in process, never listening by itself.
// What is added: queue URLs that resolve on any machine, messages that survive a restart, duplicate deliveries on demand.
// Traps of fauxqs 2.4.1 handled here: its own listener binds 0.0.0.0 (so it gets none); its queue URLs name the host
// sqs.us-east-1.localhost; with its SQLite file, making a message visible at once violates a NOT NULL constraint.

import type { IncomingMessage, ServerResponse } from "node:http";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildApp } from "fauxqs";
import { type JsonObject, readBody, ServiceError, sendServiceError } from "./json-protocol.ts";

/** The parts of fauxqs's own classes that are used; the package exports only `buildApp`. */
interface FauxMessage {
  readonly messageId: string;
}
interface FauxQueue {
  readonly name: string;
  readonly arn: string;
  url: string;
  persistence: unknown;
  readonly messages: FauxMessage[];
  readonly inflightMessages: Map<string, { readonly message: FauxMessage }>;
  isFifo(): boolean;
  getAttribute(name: string): string | undefined;
  changeVisibility(receiptHandle: string, seconds: number): void;
  notifyWaiters(): void;
  cancelWaiters(): void;
}
interface FauxStore {
  host: string;
  region: string;
  persistence: unknown;
  readonly queues: Map<string, FauxQueue>;
  allQueues(): Iterable<FauxQueue>;
  getQueueByName(name: string): FauxQueue | undefined;
}
interface FauxPersistence {
  readonly db: { exec(sql: string): void; prepare(sql: string): { run(...values: string[]): unknown } };
  updateMessageReady(messageId: string): void;
  loadSqsAndSns(sqs: FauxStore, sns: unknown): void;
  close(): void;
}

export interface QueueDepth {
  readonly visible: number;
  readonly inFlight: number;
  readonly delayed: number;
}

export interface LocalSqs {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** One action without HTTP; used by the parts that in AWS are not clients (notifications, event source mappings). */
  call(action: string, input: JsonObject): Promise<JsonObject>;
  urlOf(queueName: string): string;
  depths(): Record<string, QueueDepth>;
  /** Ends every long poll now. */
  wake(): void;
  close(): Promise<void>;
}

export interface SqsOptions {
  /** `http://127.0.0.1:port`: what queue URLs begin with. */
  readonly endpoint: string;
  readonly region: string;
  /** Where messages outlive the stack; undefined: nowhere. */
  readonly folder?: string;
  /** Whether the message just received is to be delivered once more. */
  duplicate(queueName: string): boolean;
}

export async function createSqs(options: SqsOptions): Promise<LocalSqs> {
  const store = await newStore("sqs/sqsStore.js", "SqsStore");
  const stores = {
    sqsStore: store,
    snsStore: await newStore("sns/snsStore.js", "SnsStore"),
    s3Store: await newStore("s3/s3Store.js", "S3Store"),
  };
  store.host = "";
  store.region = options.region;
  const persistence =
    options.folder === undefined ? undefined : await openPersistence(options.folder, store, stores.snsStore);
  const urlOf = (name: string) => `${options.endpoint}/000000000000/${name}`;
  rehost(store, urlOf);
  const app = buildApp({ logger: false, stores: stores as never });
  await app.ready();
  const host = new URL(options.endpoint).host;

  async function inject(target: string, body: string) {
    const headers = { "x-amz-target": target, "content-type": "application/x-amz-json-1.0", host };
    const answer = await app.inject({ method: "POST", url: "/", headers, payload: body });
    if (target === "AmazonSQS.ReceiveMessage" && answer.statusCode === 200) redeliver(body, answer.body);
    return answer;
  }

  /** A standard queue may deliver a message again while its first receiver works on it. */
  function redeliver(request: string, received: string): void {
    const name =
      String((JSON.parse(request) as JsonObject)["QueueUrl"])
        .split("/")
        .at(-1) ?? "";
    const queue = store.getQueueByName(name);
    const { Messages = [] } = JSON.parse(received) as { Messages?: { ReceiptHandle: string }[] };
    for (const { ReceiptHandle } of Messages) {
      const held = queue?.inflightMessages.get(ReceiptHandle)?.message;
      if (queue === undefined || held === undefined || queue.isFifo() || !options.duplicate(name)) continue;
      queue.messages.push({ ...held });
      queue.notifyWaiters();
    }
  }

  return {
    async handle(request, response) {
      try {
        const body = await readBody(request);
        const answer = await inject(String(request.headers["x-amz-target"]), body.toString());
        const queryError = answer.headers["x-amzn-query-error"];
        if (queryError !== undefined) response.setHeader("x-amzn-query-error", String(queryError));
        const length = Buffer.byteLength(answer.body);
        response.writeHead(answer.statusCode, {
          "content-type": "application/x-amz-json-1.0",
          "content-length": length,
        });
        response.end(answer.body);
      } catch (error) {
        sendServiceError(response, error);
      }
    },
    async call(action, input) {
      const answer = await inject(`AmazonSQS.${action}`, JSON.stringify(input));
      const result = answer.body === "" ? {} : (JSON.parse(answer.body) as JsonObject);
      if (answer.statusCode === 200) return result;
      throw new ServiceError(String(result["__type"]), `${action} failed: ${String(result["message"])}`);
    },
    urlOf,
    depths: () => Object.fromEntries([...store.allQueues()].map((queue) => [queue.name, depthOf(queue)])),
    wake() {
      for (const queue of store.allQueues()) queue.cancelWaiters();
    },
    async close() {
      await app.close();
      persistence?.close();
    },
  };
}

function depthOf(queue: FauxQueue): QueueDepth {
  const count = (suffix: string) => Number(queue.getAttribute(`ApproximateNumberOfMessages${suffix}`));
  return { visible: count(""), inFlight: count("NotVisible"), delayed: count("Delayed") };
}

async function newStore(file: string, name: string): Promise<FauxStore> {
  const loaded = await loadInternal(file);
  const Store = loaded[name] as new () => FauxStore;
  return new Store();
}

async function loadInternal(file: string): Promise<Record<string, unknown>> {
  const manifest = findPackageJSON("fauxqs", import.meta.url) as string;
  const url = pathToFileURL(join(dirname(manifest), "dist", file)).href;
  return (await import(/* @vite-ignore */ url)) as Record<string, unknown>;
}

async function openPersistence(folder: string, store: FauxStore, sns: unknown): Promise<FauxPersistence> {
  const loaded = await loadInternal("persistence.js");
  const Persistence = loaded["PersistenceManager"] as new (folder: string) => FauxPersistence;
  const persistence = new Persistence(folder);
  // A sync per message costs milliseconds; WAL with NORMAL survives the end of the process, which is what restarts here are.
  persistence.db.exec("PRAGMA synchronous = NORMAL");
  const ready = persistence.db.prepare(
    "UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?",
  );
  persistence.updateMessageReady = (messageId) => void ready.run(messageId);
  persistence.loadSqsAndSns(store, sns);
  store.persistence = persistence;
  for (const queue of store.allQueues()) {
    queue.persistence = persistence;
    // Whoever was working on these is gone with the last run: no reason to wait for their visibility timeout.
    for (const handle of [...queue.inflightMessages.keys()]) queue.changeVisibility(handle, 0);
  }
  return persistence;
}

/** The port of the last run is in the stored URLs. */
function rehost(store: FauxStore, urlOf: (name: string) => string): void {
  const queues = [...store.allQueues()];
  store.queues.clear();
  for (const queue of queues) {
    queue.url = urlOf(queue.name);
    store.queues.set(queue.url, queue);
  }
}
