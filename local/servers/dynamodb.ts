// DynamoDB: dynalite (an implementation we did not write) behind our own front, in process.
// What is added: ReturnValuesOnConditionCheckFailure, table settings that Moraine's stack asks for, and safety from clients
// that vanish mid-request (dynalite rethrows their connection error, which would end this process).
// Invariant: the item a failed condition returns is the one the condition was checked on; the check is wrapped where
// dynalite makes it, under its lock on the item.

import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { type JsonObject, parseObject, readBody, sendJson, sendServiceError } from "./json-protocol.ts";

const require = createRequire(import.meta.url);

interface DynaliteOptions {
  readonly path?: string;
  readonly createTableMs: number;
  readonly deleteTableMs: number;
  readonly updateTableMs: number;
}
interface ConditionalWrite {
  readonly ReturnValuesOnConditionCheckFailure?: string;
}
interface ConditionError {
  readonly body: JsonObject;
}
type CheckConditional = (write: ConditionalWrite, existing: unknown) => ConditionError | null | undefined;

export interface LocalDynamoDB {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  close(): Promise<void>;
}

/** `folder`: where tables outlive the stack (LevelDB); undefined: in memory. */
export async function createDynamoDB(folder: string | undefined): Promise<LocalDynamoDB> {
  returnItemOnFailedCondition();
  const dynalite = require("dynalite") as (options: DynaliteOptions) => Server;
  const timings = { createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 };
  const server = dynalite(folder === undefined ? timings : { ...timings, path: folder });
  // It closes its store only as part of closing a listener, so it gets one that nobody is told of.
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const settings = createSettings();

  return {
    async handle(request, response) {
      try {
        const body = await readBody(request);
        const operation = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
        const answer = settings[operation];
        if (answer !== undefined) return sendJson(response, answer(parseObject(body)));
        const answered = await ask(server, request, body);
        response.writeHead(answered.status, answered.headers);
        response.end(answered.body);
      } catch (error) {
        sendServiceError(response, error);
      }
    },
    close: () => new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve()))),
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: string | undefined;
}

/** Settles when dynalite is done, whatever became of the client: its store must not be closed before that. */
function ask(server: Server, { method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve) => {
    const answerHeaders: Record<string, string | number> = {};
    const response = {
      statusCode: 200,
      setHeader(name: string, value: string | number) {
        answerHeaders[name] = value;
      },
      end(content?: string) {
        resolve({ status: response.statusCode, headers: answerHeaders, body: content });
      },
    };
    server.emit("request", Object.assign(Readable.from([body]), { method, url, headers }), response);
  });
}

/** Settings that are remembered for whoever asks, and have no effect here. */
function createSettings(): Readonly<Record<string, (input: JsonObject) => JsonObject>> {
  const timeToLive = new Map<string, JsonObject>();
  const recovery = new Map<string, boolean>();
  const backups = (table: string) => ({
    ContinuousBackupsDescription: {
      ContinuousBackupsStatus: "ENABLED",
      PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: recovery.get(table) ? "ENABLED" : "DISABLED" },
    },
  });
  return {
    UpdateTimeToLive(input) {
      const specification = input["TimeToLiveSpecification"] as JsonObject;
      timeToLive.set(String(input["TableName"]), specification);
      return { TimeToLiveSpecification: specification };
    },
    DescribeTimeToLive(input) {
      const { Enabled, AttributeName } = timeToLive.get(String(input["TableName"])) ?? {};
      return {
        TimeToLiveDescription: Enabled
          ? { TimeToLiveStatus: "ENABLED", AttributeName }
          : { TimeToLiveStatus: "DISABLED" },
      };
    },
    UpdateContinuousBackups(input) {
      const specification = input["PointInTimeRecoverySpecification"] as JsonObject;
      recovery.set(String(input["TableName"]), specification["PointInTimeRecoveryEnabled"] === true);
      return backups(String(input["TableName"]));
    },
    DescribeContinuousBackups: (input) => backups(String(input["TableName"])),
  };
}

const WRAPPED = Symbol.for("moraine.local.dynalite");

function returnItemOnFailedCondition(): void {
  const db = require("dynalite/db") as { checkConditional: CheckConditional; [WRAPPED]?: boolean };
  if (db[WRAPPED]) return;
  db[WRAPPED] = true;
  for (const operation of ["putItem", "updateItem", "deleteItem"]) {
    // dynalite drops members it has no type for.
    const { types } = require(`dynalite/validations/${operation}`) as { types: JsonObject };
    types["ReturnValuesOnConditionCheckFailure"] = { type: "String", enum: ["ALL_OLD", "NONE"] };
  }
  const check = db.checkConditional;
  db.checkConditional = (write, existing) => {
    const error = check(write, existing);
    const wanted = write.ReturnValuesOnConditionCheckFailure === "ALL_OLD";
    if (error && wanted && existing) error.body["Item"] = existing;
    return error;
  };
}
