// AWS JSON 1.0/1.1 on the server side: a target header, a JSON body, errors as {"__type", "message"}.

import type { IncomingMessage, ServerResponse } from "node:http";

/** An answer a service gives as an error: `code` is what the SDK makes the error's name from. */
export class ServiceError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = "ServiceError";
    this.code = code;
    this.status = status;
  }
}

export type JsonObject = Record<string, unknown>;

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export function parseObject(body: Buffer): JsonObject {
  try {
    const value: unknown = body.length === 0 ? {} : JSON.parse(body.toString());
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch {
    // answered below
  }
  throw new ServiceError("SerializationException", "the request body is not a JSON object");
}

export function sendJson(response: ServerResponse, content: unknown, status = 200): void {
  const body = JSON.stringify(content);
  const type = "application/x-amz-json-1.1";
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

export function sendServiceError(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const known = error instanceof ServiceError ? error : new ServiceError("InternalServerError", String(error), 500);
  response.setHeader("x-amzn-errortype", known.code);
  sendJson(response, { __type: known.code, message: known.message, Message: known.message }, known.status);
}
