import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { framesOf, isSingleFrame } from "../../../lambdas/adapters/converter/spool/zstd-frames.ts";

test("frames are told apart wherever the chunks are cut, and joined they are the input without skippable ones", async () => {
  const frame = fc
    .uint8Array({ maxLength: 300 })
    .map((bytes) => ({ bytes: zstdCompressSync(bytes), skippable: false }));
  const skippable = fc.uint8Array({ maxLength: 20 }).map((bytes) => ({
    bytes: Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, bytes.length, 0, 0, 0]), bytes]),
    skippable: true,
  }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(frame, skippable), { maxLength: 5 }),
      fc.integer({ min: 1, max: 64 }),
      async (frames, step) => {
        const all = Buffer.concat(frames.map(({ bytes }) => bytes));
        async function* body(): AsyncGenerator<Uint8Array> {
          for (let at = 0; at < all.length; at += step) yield all.subarray(at, at + step);
        }
        const found: Buffer[] = [];
        for await (const each of framesOf(body())) {
          const pieces: Uint8Array[] = [];
          for await (const piece of each) pieces.push(piece);
          found.push(Buffer.concat(pieces));
        }
        expect(found).toEqual(frames.map(({ bytes }) => Buffer.from(bytes)));
      },
    ),
  );
});

test("one frame is told from two and from a cut one", () => {
  const frame = zstdCompressSync(Buffer.from("hello ".repeat(100)));
  expect(isSingleFrame(frame)).toBe(true);
  expect(isSingleFrame(Buffer.concat([frame, frame]))).toBe(false);
  expect(isSingleFrame(frame.subarray(0, -1))).toBe(false);
  expect(isSingleFrame(Buffer.from("hello"))).toBe(false);
});
