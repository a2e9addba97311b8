// Reads what the intake queue delivers: S3 notifications (bare, wrapped by SNS, or by EventBridge), S3's test event, and
// Moraine's own messages (a released file, a listing). One message may name several objects.
// An event names one *version* of one object; nothing downstream ever asks S3 which version was meant.

import { MoraineError } from "./errors.ts";
import { isRecord } from "./json-shape.ts";

/** One version of an object. The ETag is its identity (listings give nothing better); the rest orders versions of one key. */
export interface ObjectVersion {
  /** Without quotes. */
  readonly etag: string;
  readonly sizeBytes: number;
  /** Hex, from S3 events; orders events of one key. */
  readonly sequencer?: string;
  /** LastModified where known (listing, GetObject), else the event's time. S3 keeps whole seconds. */
  readonly timeMs: number;
  readonly versionId?: string;
}

export interface ObjectEvent {
  readonly bucket: string;
  /** Decoded. */
  readonly key: string;
  readonly version: ObjectVersion;
  readonly runId?: string;
  /** Which attempt at this version the message's first delivery is; a file that may have killed its batch is loaded in smaller company. */
  readonly attempt?: number;
}

export type Intake =
  | { readonly kind: "events"; readonly events: readonly ObjectEvent[] }
  /** Well-formed, and nothing to load: a test event, a deletion, a folder marker. */
  | { readonly kind: "nothing"; readonly why: string };

const MESSAGE_VERSION = 1;

/** The body of one intake message. Throws Invalid for what no producer of events sends. */
export function parseIntake(body: string): Intake {
  const message = parseObject(body, "intake message");
  if (message["Type"] === "Notification" && typeof message["Message"] === "string")
    return parseIntake(message["Message"]);
  if (message["Event"] === "s3:TestEvent") return { kind: "nothing", why: "s3 test event" };
  if (message["moraine"] === MESSAGE_VERSION) return fromOwnMessage(message);
  if (message["source"] === "aws.s3") return fromEventBridge(message);
  if (Array.isArray(message["Records"])) return fromNotification(message["Records"]);
  throw new MoraineError(
    "Invalid",
    "intake message is no s3 event: send s3 notifications, sns, eventbridge or moraine messages",
    {
      keys: Object.keys(message).slice(0, 8).join(","),
    },
  );
}

/** A message that `parseIntake` reads back: how listings and the sweeper speak to the intake queue. */
export function formatIntake(events: readonly ObjectEvent[]): string {
  return escapeJson(JSON.stringify({ moraine: MESSAGE_VERSION, events }));
}

/**
 * SQS takes the characters of XML only, and emulators only those of the first plane; object keys may hold any. In JSON
 * text these stand in strings, where an escape says the same.
 */
export function escapeJson(body: string): string {
  return body.replace(
    /[^\t\n\r -\ud7ff\ue000-\ufffd]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function fromNotification(records: readonly unknown[]): Intake {
  const events: ObjectEvent[] = [];
  for (const record of records) {
    if (!isRecord(record)) throw malformed("notification record");
    const name = text(record["eventName"], "eventName");
    if (!/^(s3:)?ObjectCreated:/.test(name)) continue;
    const s3 = child(record, "s3");
    const object = child(s3, "object");
    const event = {
      bucket: text(child(s3, "bucket")["name"], "s3.bucket.name"),
      key: decodeKey(text(object["key"], "s3.object.key")),
      version: versionOf(object, object["eTag"], object["versionId"], record["eventTime"]),
    };
    if (!isFolderMarker(event.key, event.version.sizeBytes)) events.push(event);
  }
  return events.length > 0 ? { kind: "events", events } : { kind: "nothing", why: "no object was created" };
}

/** EventBridge gives keys as they are, without URL encoding. */
function fromEventBridge(message: Record<string, unknown>): Intake {
  if (message["detail-type"] !== "Object Created") return { kind: "nothing", why: "no object was created" };
  const detail = child(message, "detail");
  const object = child(detail, "object");
  const event = {
    bucket: text(child(detail, "bucket")["name"], "detail.bucket.name"),
    key: text(object["key"], "detail.object.key"),
    version: versionOf(object, object["etag"], object["version-id"], message["time"]),
  };
  return isFolderMarker(event.key, event.version.sizeBytes)
    ? { kind: "nothing", why: "folder marker" }
    : { kind: "events", events: [event] };
}

function fromOwnMessage(message: Record<string, unknown>): Intake {
  const events = message["events"];
  if (!Array.isArray(events)) throw malformed("events");
  return { kind: "events", events: events.map(ownEvent) };
}

function ownEvent(value: unknown): ObjectEvent {
  if (!isRecord(value)) throw malformed("events[]");
  const version = child(value, "version");
  const attempt = value["attempt"];
  const runId = value["runId"];
  return {
    bucket: text(value["bucket"], "bucket"),
    key: text(value["key"], "key"),
    version: {
      etag: unquoted(text(version["etag"], "version.etag")),
      sizeBytes: count(version["sizeBytes"], "version.sizeBytes"),
      timeMs: count(version["timeMs"], "version.timeMs"),
      ...(typeof version["sequencer"] === "string" ? { sequencer: version["sequencer"] } : {}),
      ...(typeof version["versionId"] === "string" ? { versionId: version["versionId"] } : {}),
    },
    ...(typeof runId === "string" ? { runId } : {}),
    ...(typeof attempt === "number" ? { attempt } : {}),
  };
}

function versionOf(object: Record<string, unknown>, etag: unknown, versionId: unknown, time: unknown): ObjectVersion {
  const timeMs = Date.parse(text(time, "event time"));
  if (Number.isNaN(timeMs)) throw malformed("event time");
  return {
    etag: unquoted(text(etag, "object etag")),
    sizeBytes: count(object["size"] ?? 0, "object size"),
    timeMs,
    ...(typeof object["sequencer"] === "string" ? { sequencer: object["sequencer"] } : {}),
    ...(typeof versionId === "string" && versionId !== "null" ? { versionId } : {}),
  };
}

/** S3 notifications URL-encode keys as forms do: a space is "+", a plus is "%2B". */
export function decodeKey(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch (cause) {
    throw new MoraineError(
      "Invalid",
      "object key in the notification is not url-encoded utf-8",
      { key: encoded },
      cause,
    );
  }
}

/** What a console writes when somebody makes a folder. */
export function isFolderMarker(key: string, sizeBytes: number): boolean {
  return key.endsWith("/") && sizeBytes === 0;
}

function unquoted(etag: string): string {
  return etag.replace(/^"|"$/g, "");
}

function parseObject(body: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new MoraineError("Invalid", `${what} is not json`, { length: body.length }, cause);
  }
  if (!isRecord(value)) throw malformed(what);
  return value;
}

function child(parent: Record<string, unknown>, name: string): Record<string, unknown> {
  const value = parent[name];
  if (!isRecord(value)) throw malformed(name);
  return value;
}

function text(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw malformed(name);
  return value;
}

function count(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw malformed(name);
  return value;
}

function malformed(name: string): MoraineError {
  return new MoraineError("Invalid", "intake message lacks or mistypes a field", { field: name });
}
