// The SDK clients of one sandbox, each with bounds: without timeouts a dead connection holds an invocation to its end.
// Glue comes twice, because an UpdateTable must never be sent twice (see glue-pointer.ts).

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GlueClient } from "@aws-sdk/client-glue";
import { S3Client } from "@aws-sdk/client-s3";
import { SQSClient } from "@aws-sdk/client-sqs";
import { DISCOVERY_DEFAULTS } from "../core/discovery/defaults.ts";
import type { GlueClients } from "./glue-pointer.ts";

export interface SdkClients {
  readonly s3: S3Client;
  /** For listings: sends a request once, and many at a time. */
  readonly listing: S3Client;
  readonly dynamodb: DynamoDBClient;
  readonly sqs: SQSClient;
  readonly glue: GlueClients;
}

/** One address for all services: the local stack. */
export interface ClientPlace {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Without `place`, endpoint, region and credentials come from the environment, as the SDK reads it (AWS_ENDPOINT_URL_S3 and so on). */
export function createClients({ pathStyle, place }: { pathStyle: boolean; place?: ClientPlace }): SdkClients {
  const glue = { ...place, ...bounded(20_000) };
  return {
    // A part of 16 MiB takes seconds; a body that stands still this long has been lost.
    s3: new S3Client({ ...place, forcePathStyle: pathStyle, maxAttempts: 4, ...bounded(60_000, 30_000) }),
    listing: new S3Client({ ...place, forcePathStyle: pathStyle, maxAttempts: 1, ...manyAtOnce(10_000) }),
    dynamodb: new DynamoDBClient({ ...place, maxAttempts: 4, ...bounded(5_000) }),
    sqs: new SQSClient({ ...place, maxAttempts: 4, ...bounded(10_000) }),
    glue: { reads: new GlueClient({ ...glue, maxAttempts: 4 }), writes: new GlueClient({ ...glue, maxAttempts: 1 }) },
  };
}

/** The SDK opens 50 connections at most unless told. */
function manyAtOnce(requestTimeout: number) {
  const sockets = { keepAlive: true, maxSockets: DISCOVERY_DEFAULTS.concurrencyMax };
  const { requestHandler } = bounded(requestTimeout);
  return { requestHandler: { ...requestHandler, httpAgent: sockets, httpsAgent: sockets } };
}

/** `requestTimeout` ends with the answer's head; `socketTimeout` bounds the silence while a body streams. */
function bounded(requestTimeout: number, socketTimeout = requestTimeout) {
  return { requestHandler: { connectionTimeout: 3_000, requestTimeout, socketTimeout, throwOnRequestTimeout: true } };
}
