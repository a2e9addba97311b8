// The one door: a listener on 127.0.0.1 that tells the services apart by header, counts every request and lets faults strike.
// One port for all services, so `aws --endpoint-url http://127.0.0.1:PORT` works for each of them.
// A caller is recognised by its access key: every function environment has its own, and no signature is ever checked.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Faults, RequestEffect } from "../faults.ts";
import type { Requests } from "../requests.ts";
import { concurrentModification } from "./glue.ts";
import { ServiceError, sendServiceError } from "./json-protocol.ts";
import { routeS3 } from "./s3-route.ts";
import { renderXml } from "./s3-xml.ts";

export type ServiceName = "S3" | "SQS" | "DynamoDB" | "Glue" | "StepFunctions" | "SNS";
export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface Caller {
  readonly functionId: string;
  kill(): void;
}

export interface FrontOptions {
  readonly port: number;
  readonly faults: Faults;
  readonly requests: Requests;
  callerOf(accessKey: string): Caller | undefined;
}

export interface Front {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  /** Services are made after the port is known; requests before that wait for nothing and get 503. */
  serve(services: Readonly<Record<ServiceName, Handle>>): void;
  /** Ends every connection; what a service had begun, it finishes: await `idle` before closing the services. */
  stop(): Promise<void>;
  idle(): Promise<void>;
}

const TARGETS: Readonly<Record<string, ServiceName>> = {
  DynamoDB_20120810: "DynamoDB",
  AWSGlue: "Glue",
  AmazonSQS: "SQS",
  AWSStepFunctions: "StepFunctions",
};

export async function openFront(options: FrontOptions): Promise<Front> {
  let services: Readonly<Record<ServiceName, Handle>> | undefined;
  const active = new Set<Promise<void>>();
  const server = createServer((request, response) => {
    const answered: Promise<void> = answer(options, services, request, response)
      .catch(() => void response.destroy())
      .finally(() => active.delete(answered));
    active.add(answered);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(options.port, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    serve(made) {
      services = made;
    },
    stop: () => stopServer(server),
    async idle() {
      while (active.size > 0) await Promise.all(active);
    },
  };
}

function stopServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  options: FrontOptions,
  services: Readonly<Record<ServiceName, Handle>> | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const route = routeOf(request);
  if (route === undefined || services === undefined) {
    request.resume();
    const reason = services === undefined ? "the local stack is starting" : "the local stack has no such service";
    return sendServiceError(response, new ServiceError("UnknownOperationException", reason));
  }
  const caller = options.callerOf(accessKeyOf(request));
  const operation = `${route.service}.${route.operation}`;
  count(options.requests, operation, caller?.functionId ?? "", request, response);
  const { delayMs, effect } = options.faults.request(operation, caller?.functionId ?? "", route.path);
  if (delayMs > 0) await sleep(delayMs);
  if (effect === "kill-before" || effect === "drop") {
    if (effect === "kill-before") caller?.kill();
    request.destroy();
    return;
  }
  if (effect === "lose-response" || effect === "kill-after")
    loseResponse(response, effect === "kill-after" ? caller : undefined);
  else if (effect !== undefined) return refuse(route.service, effect, request, response);
  await services[route.service](request, response);
}

/** `path`: decoded `/bucket/key` of S3 requests, of a listing `/bucket/prefix`. */
interface Route {
  readonly service: ServiceName;
  readonly operation: string;
  readonly path: string;
}

function routeOf(request: IncomingMessage): Route | undefined {
  const target = request.headers["x-amz-target"];
  if (target === undefined) {
    const form = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true;
    if (form && request.method === "POST" && request.url === "/")
      return { service: "SNS", operation: "Query", path: "/" };
    const { operation = "Unknown", bucket = "", key = "", query } = routeS3(request) ?? {};
    return { service: "S3", operation, path: `/${bucket}/${key === "" ? (query?.get("prefix") ?? "") : key}` };
  }
  const [prefix = "", operation = ""] = String(target).split(".");
  const service = TARGETS[prefix];
  return service === undefined ? undefined : { service, operation, path: "/" };
}

function accessKeyOf(request: IncomingMessage): string {
  return /Credential=([^/]+)\//.exec(request.headers.authorization ?? "")?.[1] ?? "";
}

function count(
  requests: Requests,
  operation: string,
  caller: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  let bytesOut = 0;
  const size = (chunk: unknown) =>
    typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk instanceof Uint8Array ? chunk.length : 0;
  const write = response.write.bind(response) as (...args: unknown[]) => boolean;
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  response.write = ((...args: unknown[]) => {
    bytesOut += size(args[0]);
    // A client that has all bytes it was promised goes on, while the end of the stream is still on its way here.
    if (bytesOut >= Number(response.getHeader("content-length") ?? Number.POSITIVE_INFINITY)) record();
    return write(...args);
  }) as typeof response.write;
  response.end = ((...args: unknown[]) => {
    bytesOut += size(args[0]);
    return end(...args);
  }) as typeof response.end;
  const headers = request.headers;
  const bytesIn = Number(headers["x-amz-decoded-content-length"] ?? headers["content-length"] ?? 0);
  // Such as `attempt=2; max=4`.
  const isRetry = /attempt=(?!1\b)/.test(String(headers["amz-sdk-request"] ?? ""));
  let recorded = false;
  // "close" comes after "finish", perhaps only when the client has its answer: a count must be there before that.
  const record = () => {
    if (!recorded) requests.record(operation, caller, bytesIn, bytesOut, isRetry);
    recorded = true;
  };
  response.once("prefinish", record).once("close", record);
}

/** What the service does stays done; the first byte of its answer ends the connection. */
function loseResponse(response: ServerResponse, victim: Caller | undefined): void {
  const lose = () => {
    victim?.kill();
    response.destroy();
  };
  response.writeHead = (() => response) as typeof response.writeHead;
  response.write = (() => {
    lose();
    return false;
  }) as typeof response.write;
  response.end = (() => {
    lose();
    return response;
  }) as typeof response.end;
}

function refuse(service: ServiceName, effect: RequestEffect, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  if (service !== "S3") {
    sendServiceError(response, refusal(service, effect));
    return;
  }
  const [status, code, message] = S3_REFUSALS[String(effect)] ?? [
    500,
    "InternalError",
    "We encountered an internal error.",
  ];
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(request.method === "HEAD" ? undefined : renderXml("Error", { Code: code, Message: message }));
}

const S3_REFUSALS: Readonly<Record<string, readonly [number, string, string]>> = {
  throttle: [503, "SlowDown", "Please reduce your request rate."],
  conflict: [409, "ConditionalRequestConflict", "A conflicting operation occurred during the conditional request."],
};

function refusal(service: ServiceName, effect: RequestEffect): ServiceError {
  if (effect === "unavailable") return new ServiceError("InternalServerError", "Internal server error", 500);
  if (effect === "conflict" && service === "Glue") return concurrentModification();
  if (service !== "DynamoDB") return new ServiceError("ThrottlingException", "Rate exceeded");
  const message = "The level of configured provisioned throughput for the table was exceeded.";
  return new ServiceError("ProvisionedThroughputExceededException", message);
}
