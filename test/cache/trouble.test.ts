// A server that goes away, hangs or is slow while a run is under way: the run comes to the same, and hardly waits.

import { afterEach, describe, expect, test } from "vitest";
import { checkObjects } from "../../lambdas/core/discovery/check.ts";
import { record, recordOf, setUpCheck } from "../unit/discovery/check-harness.ts";
import { listed } from "../unit/discovery/listed.ts";
import { ALL, BOUNDS, closeAll, NOTHING, OBJECTS, open } from "./open.ts";
import { SERVER, type Server, startServer } from "./server.ts";

describe.skipIf(SERVER === undefined)("a server in trouble", () => {
  const servers: Server[] = [];
  const start = async (settings?: Record<string, string>, port?: number) => {
    const server = await startServer(settings, port);
    servers.push(server);
    return server;
  };
  afterEach(async () => {
    await closeAll();
    await Promise.all(servers.splice(0).map((server) => server.kill()));
  });

  test("a server killed in the middle of a run fails nothing, and is used again once it is back and rested", async () => {
    const server = await start();
    const { cache, files, clock } = open(server.url);
    await cache.add(OBJECTS);
    const asked = Array.from({ length: 40 }, () => cache.has(OBJECTS));
    await asked[0];
    await server.kill();
    for (const answers of await Promise.all(asked)) expect([ALL, NOTHING]).toContainEqual(answers);
    expect(await cache.has(OBJECTS)).toEqual(NOTHING);
    await cache.add(OBJECTS);
    await start({}, server.port);
    clock.advance(BOUNDS.restMs);
    // Its memory was lost with it.
    expect(await cache.has(OBJECTS)).toEqual(NOTHING);
    await cache.add(OBJECTS);
    expect(await cache.has(OBJECTS)).toEqual(ALL);
    const { unasked, failed } = files.takeUse();
    expect(unasked + Object.values(failed).reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(1000);
    expect(files.takeUse()).toEqual({ asked: 0, known: 0, added: 0, unasked: 0, failed: {} });
  });

  test("a run whose cache is killed half-way comes to what it would have come to without one", async () => {
    const server = await start();
    const { files } = open(server.url);
    const pages = Array.from({ length: 10 }, (_, page) =>
      Array.from({ length: 100 }, (_, n) => listed(`orders/${page}/${String(n).padStart(3, "0")}`)),
    );
    const { context, ledger } = setUpCheck();
    for (const object of pages.flat().filter((_, n) => n % 3 > 0)) await record(ledger, recordOf(object));
    const cached = { ...context, ports: { ...context.ports, caches: files.of } };
    for (let round = 0; round < 2; round++) {
      for (const [n, page] of pages.entries()) {
        if (round === 1 && n === 5) await server.kill();
        const { counts, ...found } = await checkObjects(cached, page);
        const { counts: expected, ...without } = await checkObjects(context, page);
        expect(found).toEqual(without);
        expect(counts).toMatchObject({ new: expected.new, known: expected.known, changed: expected.changed });
        const isSpared = round === 1 && n < 5;
        expect((counts.ledgerReads ?? 0) < (expected.ledgerReads ?? 0)).toBe(isSpared);
      }
    }
    expect(files.takeUse().known).toBeGreaterThan(300);
  });

  test("a server that hangs is waited for once, by all lanes together, and then left alone for a while", async () => {
    const server = await start();
    const { cache, files, clock } = open(server.url);
    await cache.add(OBJECTS);
    server.freeze();
    const began = performance.now();
    const lanes = await Promise.all(Array.from({ length: 16 }, () => cache.has(OBJECTS)));
    for (let n = 0; n < 100; n++) await cache.has(OBJECTS);
    expect(performance.now() - began).toBeLessThan(3 * BOUNDS.callMs);
    for (const answers of lanes) expect(answers).toEqual(NOTHING);
    expect(files.takeUse()).toMatchObject({
      known: 0,
      unasked: 115_000,
      failed: { "no answer within 2000 ms": 1_000 },
    });
    server.thaw();
    clock.advance(BOUNDS.restMs);
    expect(await cache.has(OBJECTS)).toEqual(ALL);
  });

  test("a server too slow for all who ask turns the last of them away, and is not given up", async () => {
    const server = await start();
    const { cache, files, clock } = open(server.url);
    await cache.add(OBJECTS);
    const first = cache.has(OBJECTS);
    const later = cache.has(OBJECTS);
    clock.advance(BOUNDS.callMs + 1);
    expect(await Promise.all([first, later])).toEqual([NOTHING, NOTHING]);
    expect(files.takeUse()).toMatchObject({ unasked: 2_000, failed: {} });
    expect(await cache.has(OBJECTS)).toEqual(ALL);
  });
});
