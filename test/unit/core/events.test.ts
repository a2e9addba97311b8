import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeKey, formatIntake, type Intake, type ObjectEvent, parseIntake } from "../../../lambdas/core/events.ts";

/** One record as S3 sends it; `key` is URL-encoded as S3 does it. */
function s3Record(key: string, changes: { object?: object; eventName?: string } = {}) {
  return {
    eventVersion: "2.1",
    eventSource: "aws:s3",
    eventTime: "2026-01-02T03:04:05.678Z",
    eventName: changes.eventName ?? "ObjectCreated:Put",
    s3: {
      bucket: { name: "landing", arn: "arn:aws:s3:::landing" },
      object: { key, size: 12, eTag: "abc", sequencer: "0055AED6DCD90281E5", ...changes.object },
    },
  };
}

const bare = (...records: unknown[]) => JSON.stringify({ Records: records });
const eventBridge = (key: string, changes: object = {}) => ({
  version: "0",
  source: "aws.s3",
  "detail-type": "Object Created",
  time: "2026-01-02T03:04:05Z",
  detail: { bucket: { name: "landing" }, object: { key, size: 12, etag: "abc", sequencer: "00AA" }, ...changes },
});

function eventsOf(intake: Intake): readonly ObjectEvent[] {
  return intake.kind === "events" ? intake.events : [];
}

/** As S3 encodes keys in notifications: form encoding, with the slash left as it is. */
function encodeAsS3(key: string): string {
  return encodeURIComponent(key)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%2F", "/")
    .replaceAll("%20", "+");
}

describe("an S3 notification", () => {
  const expected: ObjectEvent = {
    bucket: "landing",
    key: "a/b c.csv",
    version: {
      etag: "abc",
      sizeBytes: 12,
      timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
      sequencer: "0055AED6DCD90281E5",
    },
  };
  const body = bare(s3Record("a/b+c.csv"));

  test("is read bare, wrapped by SNS, and wrapped twice", () => {
    const sns = (message: string) => JSON.stringify({ Type: "Notification", TopicArn: "arn", Message: message });
    for (const form of [body, sns(body), sns(sns(body))]) {
      expect(parseIntake(form)).toEqual({ kind: "events", events: [expected] });
    }
  });

  test("names every object of its records, and skips what created none", () => {
    const removed = s3Record("gone", { eventName: "ObjectRemoved:Delete" });
    const events = eventsOf(parseIntake(bare(s3Record("1"), removed, s3Record("2"))));
    expect(events.map((event) => event.key)).toEqual(["1", "2"]);
  });

  test.each([
    "ObjectCreated:Put",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectCreated:Copy",
    "s3:ObjectCreated:Post",
  ])("%s creates an object", (eventName) => {
    expect(parseIntake(bare(s3Record("k", { eventName }))).kind).toBe("events");
  });

  test.each(["ObjectRemoved:DeleteMarkerCreated", "ObjectRestore:Completed", "LifecycleExpiration:Delete"])(
    "%s creates none",
    (eventName) => {
      expect(parseIntake(bare(s3Record("k", { eventName }))).kind).toBe("nothing");
    },
  );

  test("keeps a version id, and takes the word null for none: buckets without versioning send it", () => {
    const versioned = parseIntake(bare(s3Record("k", { object: { versionId: "v1" } })));
    expect(eventsOf(versioned)[0]?.version.versionId).toBe("v1");
    const unversioned = parseIntake(bare(s3Record("k", { object: { versionId: "null" } })));
    expect(eventsOf(unversioned)[0]?.version).not.toHaveProperty("versionId");
  });

  test("strips quotes from an ETag, which would never match", () => {
    expect(eventsOf(parseIntake(bare(s3Record("k", { object: { eTag: '"abc"' } }))))[0]?.version.etag).toBe("abc");
  });

  test("of a folder marker loads nothing; an empty object with another name is a file", () => {
    expect(parseIntake(bare(s3Record("folder/", { object: { size: 0 } }))).kind).toBe("nothing");
    expect(parseIntake(bare(s3Record("folder/", { object: { size: 3 } }))).kind).toBe("events");
    expect(parseIntake(bare(s3Record("empty", { object: { size: 0 } }))).kind).toBe("events");
  });

  test("S3's test event is nothing to load", () => {
    expect(parseIntake(JSON.stringify({ Service: "Amazon S3", Event: "s3:TestEvent", Bucket: "landing" }))).toEqual({
      kind: "nothing",
      why: "s3 test event",
    });
  });
});

describe("an EventBridge event", () => {
  test("is read, its key taken as it stands: EventBridge does not encode", () => {
    const events = eventsOf(parseIntake(JSON.stringify(eventBridge("a+b%20c d"))));
    expect(events[0]?.key).toBe("a+b%20c d");
    expect(events[0]?.version).toEqual({
      etag: "abc",
      sizeBytes: 12,
      sequencer: "00AA",
      timeMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    });
  });

  test("of a deletion or a folder marker loads nothing", () => {
    const deleted = { ...eventBridge("k"), "detail-type": "Object Deleted" };
    expect(parseIntake(JSON.stringify(deleted)).kind).toBe("nothing");
    const marker = eventBridge("f/", { object: { key: "f/", size: 0, etag: "abc" } });
    expect(parseIntake(JSON.stringify(marker)).kind).toBe("nothing");
  });
});

describe("a key in a notification", () => {
  test.each([
    ["a+b", "a b"],
    ["a%2Bb", "a+b"],
    ["a%20b", "a b"],
    ["%E2%82%AC/%F0%9F%A7%8A.csv", "€/🧊.csv"],
    ["it%27s+%22quoted%22", `it's "quoted"`],
    ["100%25", "100%"],
    ["a/b=c/d%3De", "a/b=c/d=e"],
  ])("%s is %s", (encoded, key) => {
    expect(decodeKey(encoded)).toBe(key);
  });

  test("any key S3 can hold comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), (key) => {
        fc.pre(key.isWellFormed());
        expect(decodeKey(encodeAsS3(key))).toBe(key);
      }),
    );
  });

  test.each(["100%", "%zz", "%E2%82", "%C0%80"])("%s is refused instead of loaded under a wrong name", (encoded) => {
    expect(() => decodeKey(encoded)).toThrow(/not url-encoded.*key=/);
    expect(() => parseIntake(bare(s3Record(encoded)))).toThrow("not url-encoded");
  });
});

describe("a message of Moraine's own", () => {
  const event = fc.record(
    {
      bucket: fc.string({ minLength: 1 }),
      key: fc.string({ unit: "binary", minLength: 1 }).filter((key) => key.isWellFormed()),
      version: fc.record(
        {
          etag: fc.stringMatching(/^[0-9a-f]{32}(-\d{1,4})?$/),
          sizeBytes: fc.nat(),
          timeMs: fc.nat(),
          sequencer: fc.stringMatching(/^[0-9A-F]{1,20}$/),
          versionId: fc.string({ minLength: 1 }),
        },
        { requiredKeys: ["etag", "sizeBytes", "timeMs"] },
      ),
      runId: fc.uuid(),
      attempt: fc.nat(),
    },
    { requiredKeys: ["bucket", "key", "version"] },
  );

  test("comes back as it was sent", () => {
    fc.assert(
      fc.property(fc.array(event), (events) => {
        expect(parseIntake(formatIntake(events))).toEqual({ kind: "events", events });
      }),
    );
  });
});

describe("what no producer sends is refused, so that it ends in the dead-letter queue and not in silence", () => {
  const record = (object: object) => bare(s3Record("k", { object }));
  test.each([
    ["no json", "{", "is not json"],
    ["an array", "[]", "lacks or mistypes"],
    ["another service's message", '{"hello":1}', "is no s3 event"],
    ["a record that is none", bare(1), "notification record"],
    ["a key of no text", record({ key: "" }), "s3.object.key"],
    ["no etag", record({ eTag: undefined }), "etag"],
    ["a size that is text", record({ size: "12" }), "object size"],
    ["a negative size", record({ size: -1 }), "object size"],
    ["no time", bare({ ...s3Record("k"), eventTime: undefined }), "event time"],
    ["a time that is none", bare({ ...s3Record("k"), eventTime: "yesterday" }), "event time"],
    ["an own message without events", '{"moraine":1}', "events"],
    ["an own message of another version", '{"moraine":2,"events":[]}', "is no s3 event"],
    ["an own event without a version", '{"moraine":1,"events":[{"bucket":"b","key":"k"}]}', "version"],
  ])("%s", (_name, body, message) => {
    expect(() => parseIntake(body)).toThrow(message);
  });

  test("never a crash of another kind", () => {
    fc.assert(
      fc.property(fc.json(), (body) => {
        try {
          parseIntake(body);
        } catch (error) {
          expect(error).toMatchObject({ kind: "Invalid" });
        }
      }),
    );
  });
});
