// Addresses behind which there is no cache server: found out within the bound, once, and without leaving a socket behind.

import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { A, BOUNDS, closeAll, NOTHING, OBJECTS, open } from "./open.ts";

afterEach(closeAll);

describe("an address without a server", () => {
  test("that refuses is not asked again before it has rested", async () => {
    const { cache, files, clock } = open("redis://127.0.0.1:1");
    expect(await cache.has([A])).toEqual([false]);
    await cache.add([A]);
    expect(files.takeUse()).toEqual({ asked: 1, known: 0, added: 0, unasked: 1, failed: { ECONNREFUSED: 1 } });
    clock.advance(BOUNDS.restMs);
    await cache.has([A]);
    expect(files.takeUse()).toMatchObject({ unasked: 0, failed: { ECONNREFUSED: 1 } });
  });

  test.each(["rediss", "redis"])(
    "that accepts %s and says nothing is given up at the bound, and no socket stays",
    async (scheme) => {
      const sockets = new Set<Socket>();
      const mute = createServer((socket) => {
        sockets.add(socket.resume());
        socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
      });
      await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
      const url = `${scheme}://127.0.0.1:${(mute.address() as AddressInfo).port}`;
      const { cache, connection } = open(url, { bounds: { connectMs: 300, callMs: 300, restMs: 10_000 } });
      const began = performance.now();
      expect(await cache.has(OBJECTS)).toEqual(NOTHING);
      expect(performance.now() - began).toBeLessThan(3_000);
      await connection.close();
      await expect.poll(() => sockets.size, { timeout: 10_000 }).toBe(0);
      await new Promise((resolve) => mute.close(resolve));
    },
  );

  test("that speaks another protocol knows nothing", async () => {
    const web = createServer((socket) => {
      socket.on("error", () => undefined).on("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    const { cache, connection } = open(`redis://127.0.0.1:${(web.address() as AddressInfo).port}`);
    expect(await cache.has(OBJECTS)).toEqual(NOTHING);
    await cache.add(OBJECTS);
    await connection.close();
    await new Promise((resolve) => web.close(resolve));
  });
});
