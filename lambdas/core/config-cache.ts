// The `discovery` section at the top of `moraine.yaml`: a cache that the listing functions share, and the VPC they reach it from.
// Off unless named. No secret stands in the file: it is copied into every function's bundle.

import type { CacheConfig, DiscoveryConfig, VpcConfig } from "./config.ts";
import type { Section } from "./config-reader.ts";
import { type Check, shown } from "./config-text.ts";

const HOUR = 60 * 60;
const DAY = 24 * HOUR;
const TTL = { fallback: 30 * DAY, min: HOUR, max: 366 * DAY };

export function readSharedDiscovery(section: Section | undefined): DiscoveryConfig | undefined {
  if (section === undefined) return undefined;
  const cache = readCache(section.section("cache"));
  const vpc = readVpc(section.section("vpc"));
  section.close();
  return { ...(cache === undefined ? {} : { cache }), ...(vpc === undefined ? {} : { vpc }) };
}

function readCache(section: Section | undefined): CacheConfig | undefined {
  if (section === undefined) return undefined;
  const url = section.string("url", { check: checkCacheUrl });
  const ttlSeconds = section.duration("ttl", TTL);
  const secretArn = section.optionalString("secretArn", checkSecretArn);
  if (secretArn !== undefined && url.startsWith("redis:"))
    section.complain("secretArn", "would send the password unencrypted; write url: rediss://host:port");
  section.close();
  return { url, ttlSeconds, ...(secretArn === undefined ? {} : { secretArn }) };
}

function readVpc(section: Section | undefined): VpcConfig | undefined {
  if (section === undefined) return undefined;
  const ids = (key: "subnetIds" | "securityGroupIds", check: Check): readonly string[] => {
    const values = section.strings(key, check);
    if (values.length === 0) section.complain(key, "is empty or missing; name at least one");
    return values;
  };
  const vpc = {
    subnetIds: ids("subnetIds", checkId("subnet", "subnet")),
    securityGroupIds: ids("securityGroupIds", checkId("sg", "security group")),
  };
  section.close();
  return vpc;
}

/** Nothing but scheme, host and port: a database number means nothing to a cluster, and a login is a secret. */
const checkCacheUrl: Check = (text) => {
  if (text.includes("@")) return "holds a login; put it into Secrets Manager and name its secretArn";
  return /^rediss?:\/\/([A-Za-z0-9_-][A-Za-z0-9._-]*|\[[0-9A-Fa-f:]+\])(:[1-9]\d{0,4})?$/.test(text)
    ? undefined
    : `${shown(text)} is no cache address; write rediss://host:6379, or redis://host:6379 without encryption`;
};

const checkSecretArn: Check = (text) =>
  /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+$/.test(text)
    ? undefined
    : `${shown(text)} is no secret's ARN; write arn:aws:secretsmanager:region:account:secret:name-suffix`;

function checkId(prefix: string, what: string): Check {
  const expression = new RegExp(`^${prefix}-[0-9a-f]{8,17}$`);
  return (text) =>
    expression.test(text) ? undefined : `${shown(text)} is no ${what} id; write ${prefix}-0123456789abcdef0`;
}
