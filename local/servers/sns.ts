// SNS, as far as alerts need it: Publish, in the query protocol. Messages are kept for whoever asks the stack, and shown by `npm start`.

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody } from "./json-protocol.ts";

export interface Published {
  readonly topicArn: string;
  readonly subject: string;
  readonly message: string;
}

export interface LocalSns {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  readonly published: readonly Published[];
}

const NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/";

export function createSns(onPublish: (published: Published) => void = () => {}): LocalSns {
  const published: Published[] = [];
  return {
    published,
    async handle(request, response) {
      const form = new URLSearchParams((await readBody(request)).toString());
      const action = form.get("Action") ?? "";
      if (action !== "Publish") {
        const error = `<Error><Type>Sender</Type><Code>InvalidAction</Code><Message>the local stack has no ${/^\w*$/.test(action) ? action : "such action"}</Message></Error>`;
        return send(response, `<ErrorResponse xmlns="${NAMESPACE}">${error}</ErrorResponse>`, 400);
      }
      const topicArn = form.get("TopicArn") ?? "";
      const one = { topicArn, subject: form.get("Subject") ?? "", message: form.get("Message") ?? "" };
      published.push(one);
      onPublish(one);
      const result = `<PublishResult><MessageId>${randomUUID()}</MessageId></PublishResult>`;
      send(response, `<PublishResponse xmlns="${NAMESPACE}">${result}</PublishResponse>`, 200);
    },
  };
}

function send(response: ServerResponse, body: string, status: number): void {
  response.writeHead(status, { "content-type": "text/xml", "content-length": Buffer.byteLength(body) });
  response.end(body);
}
