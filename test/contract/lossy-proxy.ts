// Stands between an SDK client and a local server and loses things on order: the request before it is applied, the answer
// after it was applied, the end of a body. Local servers are too polite to show what a network does.

import { createServer, type IncomingMessage, type ServerResponse, request as send } from "node:http";
import type { AddressInfo } from "node:net";

export type Fault =
  /** The connection ends before the server hears of the request. */
  | "lose-request"
  /** The server applies the request; the connection ends before its answer. */
  | "lose-answer"
  /** The server applies the request; a 500 is answered in its place. */
  | "answer-500"
  /** Half of the answer's body arrives. */
  | "cut-body";

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export interface LossyProxy {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** The next requests for which `matches` holds meet these faults, one each. */
  lose(faults: readonly Fault[], matches?: (request: SeenRequest) => boolean): void;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export async function startLossyProxy(upstream: string): Promise<LossyProxy> {
  const seen: SeenRequest[] = [];
  let orders: { faults: Fault[]; matches: (request: SeenRequest) => boolean }[] = [];
  const nextFault = (request: SeenRequest) => {
    const fault = orders.find((order) => order.matches(request))?.faults.shift();
    orders = orders.filter((order) => order.faults.length > 0);
    return fault;
  };

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "GET", url: path = "/", headers } = incoming;
    const request = { method, path, headers, body: await bufferOf(incoming) };
    seen.push(request);
    const fault = nextFault(request);
    const answer = fault === "lose-request" ? undefined : await forward(upstream, request);
    if (answer === undefined || fault === "lose-answer") outgoing.destroy();
    else if (fault === "answer-500") outgoing.writeHead(500).end();
    else reply(outgoing, answer, fault === "cut-body");
  }

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    lose: (faults, matches = () => true) => void orders.push({ faults: [...faults], matches }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function reply(outgoing: ServerResponse, answer: Answer, cut: boolean): void {
  outgoing.writeHead(answer.status, answer.headers);
  if (!cut) return void outgoing.end(answer.body);
  outgoing.write(answer.body.subarray(0, answer.body.length / 2), () => outgoing.destroy());
}

function forward(upstream: string, request: SeenRequest): Promise<Answer> {
  const headers = { ...request.headers, "content-length": String(request.body.length) };
  delete headers["expect"];
  delete headers["transfer-encoding"];
  return new Promise((resolve, reject) => {
    const outgoing = send(`${upstream}${request.path}`, { method: request.method, headers }, (incoming) => {
      bufferOf(incoming).then((body) => {
        resolve({ status: incoming.statusCode ?? 502, headers: incoming.headers, body });
      }, reject);
    });
    outgoing.on("error", reject);
    outgoing.end(request.body);
  });
}

async function bufferOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks);
}
