// The `discovery` section at the top of the file: what it means, and what it refuses.

import { describe, expect, test } from "vitest";
import { readLogin } from "../../../lambdas/adapters/cache-login.ts";
import { openCache } from "../../../lambdas/adapters/open-cache.ts";
import type { DiscoveryConfig } from "../../../lambdas/core/config.ts";
import { parseConfig } from "../../../lambdas/core/config-file.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";

const SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache/login-AbCdEf";

function parse(discovery: string) {
  const text = `ingestions:
  - id: orders
    source: { prefix: orders/ }
    format: { type: csv }
    target: { database: sales, table: orders }
${discovery}`;
  return parseConfig(text, "moraine.yaml");
}

function read(discovery: string): DiscoveryConfig | undefined {
  const { config, errors } = parse(discovery);
  if (config === undefined) throw new Error(errors.join("\n"));
  return config.discovery;
}

describe("a cache", () => {
  test("is off unless named", () => {
    expect(read("")).toBe(undefined);
    expect(read("discovery: {}")).toEqual({});
    expect(openCache(undefined, "ledger", new ManualClock())).toBe(undefined);
  });

  test("keeps entries for thirty days unless told", () => {
    expect(read('discovery: { cache: { url: "rediss://cache.example.com:6379" } }')).toEqual({
      cache: { url: "rediss://cache.example.com:6379", ttlSeconds: 30 * 86_400 },
    });
  });

  test("may have a login in Secrets Manager, and be reached from a VPC", () => {
    const vpc = "vpc: { subnetIds: [subnet-0123456789abcdef0], securityGroupIds: [sg-01234567] }";
    expect(read(`discovery: { cache: { url: "rediss://cache", ttl: 12h, secretArn: "${SECRET}" }, ${vpc} }`)).toEqual({
      cache: { url: "rediss://cache", ttlSeconds: 12 * 3600, secretArn: SECRET },
      vpc: { subnetIds: ["subnet-0123456789abcdef0"], securityGroupIds: ["sg-01234567"] },
    });
  });

  test.each([
    ['{ cache: { url: "rediss://user:secret@cache:6379" } }', "cache.url: holds a login; put it into Secrets Manager"],
    ['{ cache: { url: "https://cache" } }', 'cache.url: "https://cache" is no cache address; write rediss://host:6379'],
    ['{ cache: { url: "rediss://cache:6379/0" } }', "is no cache address"],
    ['{ cache: { url: "rediss://cache:6379?tls=no" } }', "is no cache address"],
    ['{ cache: { url: "rediss://" } }', "is no cache address"],
    ["{ cache: {} }", "discovery.cache.url: is missing"],
    ['{ cache: { url: "rediss://cache", ttl: 1m } }', "discovery.cache.ttl"],
    ['{ cache: { url: "rediss://cache", password: x } }', "discovery.cache.password: is not known"],
    ['{ cache: { url: "rediss://cache", secretArn: "my-secret" } }', "is no secret's ARN"],
    [`{ cache: { url: "redis://cache", secretArn: "${SECRET}" } }`, "would send the password unencrypted"],
    ["{ vpc: { subnetIds: [subnet-01234567] } }", "discovery.vpc.securityGroupIds: is empty or missing"],
    ["{ vpc: { subnetIds: [vpc-01234567], securityGroupIds: [sg-01234567] } }", "is no subnet id"],
    ["{ caches: {} }", "discovery.caches: is not known; remove it (did you mean cache?)"],
  ])("is refused with its remedy: %s", (text, complaint) => {
    const { errors } = parse(`discovery: ${text}`);
    expect(errors).toHaveLength(1);
    expect(errors?.[0]).toContain(complaint);
    expect(errors?.[0]).not.toContain("user:secret");
  });
});

describe("a secret", () => {
  test("is a password, or an object with one and perhaps a user name", () => {
    expect(readLogin("p@ss word")).toEqual({ password: "p@ss word" });
    expect(readLogin('{"password":"p"}')).toEqual({ password: "p" });
    expect(readLogin(' {"username":"moraine","password":"p","host":"h"}')).toEqual({
      username: "moraine",
      password: "p",
    });
  });

  test.each(["", "{", '{"password":1}', '{"pass":"hunter2"}', '{"password":"hunter2"'])(
    "is never quoted: %s",
    (text) => {
      expect(() => readLogin(text)).toThrow(/^the secret holds no password$/);
    },
  );
});
