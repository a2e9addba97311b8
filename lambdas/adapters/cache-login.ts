// The login of a cache server from Secrets Manager: a password as plain text, or a JSON object with `password` and perhaps `username`.
// Bounds are short: a listing must not wait for a login it can do without.

import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { isRecord } from "../core/json-shape.ts";
import type { ServerLogin } from "./valkey-connection.ts";

export function secretLogin(secretArn: string): () => Promise<ServerLogin> {
  const client = new SecretsManagerClient({
    maxAttempts: 2,
    requestHandler: { connectionTimeout: 500, requestTimeout: 1_000, throwOnRequestTimeout: true },
  });
  return async () => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secretArn }));
    return readLogin(SecretString ?? "");
  };
}

/** Its errors are logged: none quotes the text, as those of JSON.parse do. */
export function readLogin(text: string): ServerLogin {
  const secret = text.trimStart().startsWith("{") ? parseJson(text) : { password: text };
  const { username, password } = isRecord(secret) ? secret : {};
  if (typeof password !== "string" || password === "") throw new Error("the secret holds no password");
  return { ...(typeof username === "string" ? { username } : {}), password };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
