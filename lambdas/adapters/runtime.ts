// What every function builds once per sandbox: configuration, adapters, settings, logger and metrics. The environment is read
// here and nowhere else. The converter is not here: only the load function carries DuckDB.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import type { MoraineConfig } from "../core/config.ts";
import { CONFIG_ASSET, ENV, LEDGER_INDEX, LOCAL_ENV, METRIC_NAMESPACE, METRICS } from "../core/environment.ts";
import { MoraineError } from "../core/errors.ts";
import { PointerCatalog } from "../core/iceberg/pointer-catalog.ts";
import { type TableName, tableIdOf } from "../core/ids.ts";
import type { Catalog, Clock, Ledger, ObjectStore, Queues, Random } from "../core/ports.ts";
import { resolveBuckets } from "../core/resolve-buckets.ts";
import { quarantineTable } from "../core/schema/quarantine.ts";
import { DEFAULT_LIMITS, type Settings } from "../core/settings.ts";
import { DynamoLedger } from "./dynamodb-ledger.ts";
import { GluePointer } from "./glue-pointer.ts";
import { REDELIVERY_FIRST_MS, type Redelivery } from "./redelivery.ts";
import { S3ObjectStore } from "./s3-object-store.ts";
import { createClients, type SdkClients } from "./sdk-clients.ts";
import { SqsQueues } from "./sqs-queues.ts";
import { SystemClock, SystemRandom } from "./system.ts";

export interface Runtime {
  readonly clients: SdkClients;
  readonly config: MoraineConfig;
  readonly settings: Settings;
  readonly ports: {
    readonly clock: Clock;
    readonly random: Random;
    readonly store: ObjectStore;
    readonly ledger: Ledger;
    readonly catalog: Catalog;
    readonly queues: Queues;
  };
  readonly logger: Logger;
  /** When messages of this queue that failed come back. */
  redelivery(queueUrl: string | undefined): Redelivery;
  /** Publishes counts under the names of `METRICS`. */
  count(counts: Partial<Record<keyof typeof METRICS, number>>): void;
  seconds(times: Partial<Record<keyof typeof METRICS, number>>): void;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** `folder`: where the bundle lies, with the configuration beside it. */
export function createRuntime(folder: string, environment: Environment = process.env): Runtime {
  const clients = createClients({ pathStyle: environment[LOCAL_ENV.s3PathStyle] === "1" });
  const clock = new SystemClock();
  const random = new SystemRandom();
  const store = new S3ObjectStore(clients.s3);
  const ledger = new DynamoLedger({
    client: clients.dynamodb,
    tableName: required(environment, ENV.ledgerTable),
    indexName: LEDGER_INDEX,
  });
  const queues = new SqsQueues({
    client: clients.sqs,
    intakeQueueUrl: required(environment, ENV.intakeQueueUrl),
    commitQueueUrl: required(environment, ENV.commitQueueUrl),
  });
  const catalog = new PointerCatalog({ store, pointer: new GluePointer(clients.glue), clock, random });
  const { redeliveryFirstMs: firstMs, ...limits } = readLimits(environment[LOCAL_ENV.limits]);
  return {
    clients,
    config: readConfig(folder, environment),
    settings: readSettings(environment, limits),
    ports: { clock, random, store, ledger, catalog, queues },
    logger: new Logger(),
    redelivery: (queueUrl = "") => ({ client: clients.sqs, queueUrl, firstMs, fraction: () => random.fraction() }),
    count: publisher(MetricUnit.Count),
    seconds: publisher(MetricUnit.Seconds),
  };
}

/** All tables the configuration names, each once. */
export function configuredTables(config: MoraineConfig): TableName[] {
  const targets = config.ingestions.map(({ target }) => tableNameOf(target));
  const names = [...targets, ...targets.map(quarantineTable)];
  return [...new Map(names.map((name) => [tableIdOf(name), name])).values()];
}

function tableNameOf({ database, table }: TableName): TableName {
  return { database, table };
}

function readSettings(environment: Environment, limits: Omit<Settings, "ledgerId" | "warehouseUri">): Settings {
  return {
    ...limits,
    ledgerId: required(environment, ENV.ledgerId),
    warehouseUri: required(environment, ENV.warehouseUri),
    commitIntervalMs: Number(required(environment, ENV.commitIntervalSeconds)) * 1000,
  };
}

type Limits = Record<keyof typeof DEFAULT_LIMITS | "redeliveryFirstMs", number>;

/** The defaults but for what the variable names. A misspelt limit must not pass for one that holds. */
export function readLimits(text = "{}"): Limits {
  const limits: Limits = { ...DEFAULT_LIMITS, redeliveryFirstMs: REDELIVERY_FIRST_MS };
  const invalid = (problem: string) =>
    new MoraineError("Invalid", `limits must be a JSON object of known names and whole numbers above 0: ${problem}`, {
      variable: LOCAL_ENV.limits,
      known: Object.keys(limits).join(","),
    });
  for (const [name, value] of Object.entries(parseObject(text, invalid))) {
    if (!Object.hasOwn(limits, name)) throw invalid(`unknown name ${name}`);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) throw invalid(`wrong value of ${name}`);
    limits[name as keyof Limits] = value;
  }
  return limits;
}

function parseObject(text: string, invalid: (problem: string) => MoraineError): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("not json");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("not an object");
  return value;
}

function readConfig(folder: string, environment: Environment): MoraineConfig {
  const file = environment[LOCAL_ENV.configFile] ?? join(folder, CONFIG_ASSET);
  const config = JSON.parse(readFileSync(file, "utf8")) as MoraineConfig;
  const buckets = JSON.parse(required(environment, ENV.buckets)) as Record<string, string>;
  return resolveBuckets(config, buckets);
}

function required(environment: Environment, name: string): string {
  const value = environment[name];
  if (value === undefined || value === "") {
    throw new MoraineError("Invalid", "an environment variable is missing: deploy the stack again", { name });
  }
  return value;
}

function publisher(unit: (typeof MetricUnit)[keyof typeof MetricUnit]): Runtime["count"] {
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE });
  return (counts) => {
    for (const [name, value] of Object.entries(counts)) {
      metrics.addMetric(METRICS[name as keyof typeof METRICS], unit, value);
    }
    metrics.publishStoredMetrics();
  };
}
