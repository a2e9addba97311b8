import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ObjectVersion } from "../../../lambdas/core/events.ts";
import { compareSequencers, isLater, relateVersions } from "../../../lambdas/core/versions.ts";

const sequencer = fc.stringMatching(/^[0-9A-Fa-f]{1,20}$/);

function version(etag: string, changes: Partial<ObjectVersion> = {}): ObjectVersion {
  return { etag, sizeBytes: 1, timeMs: 10_000, ...changes };
}

describe("sequencers", () => {
  test("are compared as numbers padded on the right, as S3 says", () => {
    expect(compareSequencers("0055AED6DCD90281E5", "0055AED6DCD90281E6")).toBeLessThan(0);
    expect(compareSequencers("0A", "0A00")).toBe(0);
    expect(compareSequencers("0A", "0A01")).toBeLessThan(0);
    expect(compareSequencers("1", "0FFF")).toBeGreaterThan(0);
  });

  test("have no case", () => {
    expect(compareSequencers("00ab", "00AB")).toBe(0);
    expect(compareSequencers("00ab", "00AC")).toBeLessThan(0);
  });

  test("are in a total order: antisymmetric, transitive, and blind to trailing zeros", () => {
    fc.assert(
      fc.property(sequencer, sequencer, sequencer, fc.nat({ max: 5 }), (a, b, c, zeros) => {
        expect(Math.sign(compareSequencers(a, b))).toBe(0 - Math.sign(compareSequencers(b, a)));
        const [low, middle, high] = [a, b, c].toSorted(compareSequencers) as [string, string, string];
        expect(compareSequencers(low, middle)).toBeLessThanOrEqual(0);
        expect(compareSequencers(middle, high)).toBeLessThanOrEqual(0);
        expect(compareSequencers(low, high)).toBeLessThanOrEqual(0);
        expect(compareSequencers(a, a + "0".repeat(zeros))).toBe(0);
      }),
    );
  });

  test("order as the fractions they are", () => {
    const value = (text: string) => BigInt(`0x${text.padEnd(20, "0")}`);
    fc.assert(
      fc.property(sequencer, sequencer, (a, b) => {
        const [left, right] = [value(a), value(b)];
        expect(Math.sign(compareSequencers(a, b))).toBe(left < right ? -1 : left > right ? 1 : 0);
      }),
    );
  });
});

describe("two versions of one key", () => {
  test("with the same bytes are the same version however often and whenever they were uploaded", () => {
    const known = version("a", { sequencer: "02", timeMs: 5 });
    expect(relateVersions(known, version("a", { sequencer: "09", timeMs: 999_999 }))).toBe("same");
    expect(relateVersions(known, version("a", { sequencer: "01" }))).toBe("same");
  });

  test("are ordered by their sequencers where both have one, whatever their clocks say", () => {
    const known = version("a", { sequencer: "05", timeMs: 90_000 });
    expect(relateVersions(known, version("b", { sequencer: "06", timeMs: 1 }))).toBe("newer");
    expect(relateVersions(known, version("b", { sequencer: "04", timeMs: 99_000 }))).toBe("older");
  });

  test("are in no order where one of them came from a listing: LastModified may be the start of an upload that ended last", () => {
    const known = version("a", { sequencer: "05", timeMs: 10_900 });
    for (const timeMs of [0, 9_999, 10_000, 11_000]) {
      expect(relateVersions(known, version("b", { timeMs }))).toBe("unclear");
      expect(relateVersions(version("b", { timeMs }), known)).toBe("unclear");
    }
  });

  test("with one sequencer, as imitations of S3 send it, are in no order: none is dropped as older by mistake", () => {
    const known = version("a", { sequencer: "0055AED6DCD90281E5", timeMs: 10_000 });
    const other = version("b", { sequencer: "0055AED6DCD90281E5", timeMs: 11_000 });
    expect(relateVersions(known, other)).toBe("unclear");
    expect(relateVersions(other, known)).toBe("unclear");
  });

  test("with the same bytes were put one after the other as their sequencers say, and else as LastModified does", () => {
    const known = version("a", { sequencer: "05", timeMs: 10_900 });
    expect(isLater(known, version("a", { sequencer: "06", timeMs: 1 }))).toBe(true);
    expect(isLater(known, version("a", { sequencer: "04", timeMs: 99_000 }))).toBe(false);
    expect(isLater(known, version("a", { timeMs: 9_999 }))).toBe(false);
    expect(isLater(known, version("a", { timeMs: 10_000 }))).toBe(true);
  });

  test("are never both older than the other, so one of them always gets its turn", () => {
    const short = fc.stringMatching(/^0?[0-3]0?$/);
    const any = fc.record(
      { etag: fc.constantFrom("a", "b"), sizeBytes: fc.nat(), timeMs: fc.nat({ max: 5_000 }), sequencer: short },
      { requiredKeys: ["etag", "sizeBytes", "timeMs"] },
    );
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(relateVersions(a, b) === "older" && relateVersions(b, a) === "older").toBe(false);
        expect(relateVersions(a, b) === "same").toBe(relateVersions(b, a) === "same");
        expect(relateVersions(a, a)).toBe("same");
        if (
          a.sequencer !== undefined &&
          b.sequencer !== undefined &&
          compareSequencers(a.sequencer, b.sequencer) !== 0
        ) {
          expect(isLater(a, b) && isLater(b, a)).toBe(false);
        }
      }),
    );
  });
});
