// S3 event notifications: which changes a bucket tells whom, and the JSON it tells them in.
// Source of the shape: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
// Keys travel as form-encoded text (space is +, the slash stays); the sequencer grows per key and is compared as hex.

import { randomUUID } from "node:crypto";
import { childrenOf, textOf, type XmlNode } from "./s3-xml.ts";

export interface NotificationRule {
  readonly id: string;
  /** Such as `s3:ObjectCreated:*`. */
  readonly events: readonly string[];
  readonly prefix: string;
  readonly suffix: string;
  /** ARN of a queue or a function. */
  readonly target: string;
}

export type S3Change =
  | {
      readonly name: "ObjectCreated:Put" | "ObjectCreated:Copy" | "ObjectCreated:CompleteMultipartUpload";
      readonly bucket: string;
      readonly key: string;
      readonly sizeBytes: number;
      readonly etag: string;
    }
  | { readonly name: "ObjectRemoved:Delete"; readonly bucket: string; readonly key: string };

export function rulesFor(rules: readonly NotificationRule[], change: S3Change): readonly NotificationRule[] {
  return rules.filter(
    (rule) =>
      rule.events.some((pattern) => matches(pattern, `s3:${change.name}`)) &&
      change.key.startsWith(rule.prefix) &&
      change.key.endsWith(rule.suffix),
  );
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

export class Sequencer {
  #last = 0n;

  /** 18 hex digits, larger with every call, also after a restart as long as the clock did not run backwards. */
  next(nowMs: number): string {
    const fromClock = BigInt(nowMs) << 20n;
    this.#last = fromClock > this.#last ? fromClock : this.#last + 1n;
    return this.#last.toString(16).toUpperCase().padStart(18, "0");
  }
}

export function eventRecord(
  change: S3Change,
  rule: NotificationRule,
  sequencer: string,
  nowMs: number,
  region: string,
) {
  const facts = change.name === "ObjectRemoved:Delete" ? {} : { size: change.sizeBytes, eTag: change.etag };
  return {
    eventVersion: "2.1",
    eventSource: "aws:s3",
    awsRegion: region,
    eventTime: new Date(nowMs).toISOString(),
    eventName: change.name,
    userIdentity: { principalId: "LOCAL" },
    requestParameters: { sourceIPAddress: "127.0.0.1" },
    responseElements: { "x-amz-request-id": randomUUID(), "x-amz-id-2": "local" },
    s3: {
      s3SchemaVersion: "1.0",
      configurationId: rule.id,
      bucket: { name: change.bucket, ownerIdentity: { principalId: "LOCAL" }, arn: `arn:aws:s3:::${change.bucket}` },
      object: { key: encodeEventKey(change.key), ...facts, sequencer },
    },
  };
}

/** What S3 sends once to every target when a notification configuration is put. It has no Records. */
export function testEvent(bucket: string, nowMs: number) {
  return {
    Service: "Amazon S3",
    Event: "s3:TestEvent",
    Time: new Date(nowMs).toISOString(),
    Bucket: bucket,
    RequestId: randomUUID(),
    HostId: "local",
  };
}

/** As java.net.URLEncoder does, but for the slash. */
export function encodeEventKey(key: string): string {
  return encodeURIComponent(key)
    .replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+")
    .replaceAll("%2F", "/");
}

// ---- configurations ------------------------------------------------------------------------------------------------

type Loose = Readonly<Record<string, unknown>>;

/**
 * Reads the `NotificationConfiguration` of a template: of AWS::S3::Bucket (`Event`, `Queue`, `Filter.S3Key.Rules`) or of CDK's
 * Custom::S3BucketNotifications (the API's form: `Events`, `QueueArn`, `Filter.Key.FilterRules`).
 */
export function rulesOfTemplate(configuration: unknown): NotificationRule[] {
  const groups = (configuration ?? {}) as Loose;
  const names = ["QueueConfigurations", "LambdaConfigurations", "LambdaFunctionConfigurations"];
  return names
    .flatMap((name) => (groups[name] ?? []) as Loose[])
    .map((entry, index) => {
      const filter = (entry["Filter"] ?? {}) as Record<string, Loose | undefined>;
      const rules = (filter["S3Key"]?.["Rules"] ?? filter["Key"]?.["FilterRules"] ?? []) as Loose[];
      const filterValue = (name: string) =>
        String(rules.find((rule) => String(rule["Name"]).toLowerCase() === name)?.["Value"] ?? "");
      return {
        id: String(entry["Id"] ?? `notification-${index}`),
        events: [entry["Events"] ?? entry["Event"]].flat().map(String),
        prefix: filterValue("prefix"),
        suffix: filterValue("suffix"),
        target: String(entry["QueueArn"] ?? entry["Queue"] ?? entry["LambdaFunctionArn"] ?? entry["Function"]),
      };
    });
}

/** Reads the body of PutBucketNotificationConfiguration. */
export function rulesOfXml(root: XmlNode | undefined): NotificationRule[] {
  const entries = [...childrenOf(root, "QueueConfiguration"), ...childrenOf(root, "CloudFunctionConfiguration")];
  return entries.map((entry, index) => {
    const rules = childrenOf(childrenOf(childrenOf(entry, "Filter")[0], "S3Key")[0], "FilterRule");
    const filterValue = (name: string) => {
      const rule = rules.find((each) => textOf(each, "Name")?.toLowerCase() === name);
      return textOf(rule, "Value") ?? "";
    };
    return {
      id: textOf(entry, "Id") ?? `notification-${index}`,
      events: childrenOf(entry, "Event").map((event) => event.text),
      prefix: filterValue("prefix"),
      suffix: filterValue("suffix"),
      target: textOf(entry, "Queue") ?? textOf(entry, "CloudFunction") ?? "",
    };
  });
}
