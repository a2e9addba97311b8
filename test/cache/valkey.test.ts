// The cache of known files before a real server: the contract, what stands there, and what a server may refuse.

import { rmSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { knownEntry } from "../../lambdas/core/discovery/known-entry.ts";
import { knownFilesContract } from "../contract/known-files.contract.ts";
import { listed } from "../unit/discovery/listed.ts";
import { A, ALL, BOUNDS, closeAll, NOTHING, OBJECTS, open, SCOPE } from "./open.ts";
import { freePort, OPENSSL, SERVER, type Server, selfSigned, startServer } from "./server.ts";

const WHY = "no valkey-server or redis-server on the PATH; `npm run cache` installs one where it can";

if (SERVER === undefined) {
  test("a real server", ({ skip }) => {
    // A reporter that lists files says how many tests were left out, and not why.
    console.warn(`cache: left out, ${WHY}`);
    skip(WHY);
  });
} else {
  knownFilesContract(SERVER, async () => {
    const server = await startServer();
    const { files, connection } = open(server.url);
    return {
      caches: files.of,
      flush: async () => void (await server.command("FLUSHALL")),
      close: async () => {
        await connection.close();
        await server.kill();
      },
    };
  });
}

describe.skipIf(SERVER === undefined)("a cache on a server", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startServer();
  });
  beforeEach(async () => void (await server.command("FLUSHALL")));
  afterEach(closeAll);
  afterAll(() => server?.kill());

  test("an entry lives as long as it was told to", async () => {
    await open(server.url).cache.add([A]);
    const lifetime = Number(await server.command("TTL", knownEntry(SCOPE, A).name));
    expect(lifetime).toBeGreaterThan(3590);
    expect(lifetime).toBeLessThanOrEqual(3600);
  });

  test("two functions share what they know, and two ledgers do not", async () => {
    await open(server.url).cache.add(OBJECTS);
    expect(await open(server.url).cache.has(OBJECTS)).toEqual(ALL);
    expect(await open(server.url, {}, "other-ledger").cache.has(OBJECTS)).toEqual(NOTHING);
  });

  test("whatever else stands under the name of an entry is no entry, and its neighbours are known", async () => {
    const { cache, files } = open(server.url);
    const { name, value } = knownEntry(SCOPE, A);
    const fill: string[][] = [
      ["SET", name, value.slice(1)],
      ["SET", name, ""],
      ["SET", name, "1"],
      ["LPUSH", name, value],
      ["HSET", name, "field", value],
      ["SADD", name, value],
    ];
    await cache.add([listed("orders/b")]);
    for (const words of fill) {
      await server.command("DEL", name);
      await server.command(...words);
      expect([words[0], await cache.has([A, listed("orders/b")])]).toEqual([words[0], [false, true]]);
    }
    expect(files.takeUse()).toMatchObject({ asked: 12, known: 6, unasked: 0, failed: { WRONGTYPE: 3 } });
    await cache.add([A]);
    expect(await cache.has([A])).toEqual([true]);
  });

  test("many lanes ask and add at once on one connection", async () => {
    const { cache } = open(server.url);
    const lanes = Array.from({ length: 32 }, (_, lane) =>
      Array.from({ length: 200 }, (_, n) => listed(`${lane}/${n}`)),
    );
    await Promise.all(lanes.map((objects) => cache.add(objects)));
    const answers = await Promise.all(lanes.map((objects) => cache.has(objects)));
    expect(answers.flat().every((known) => known)).toBe(true);
    expect(await server.command("DBSIZE")).toBe(32 * 200);
  });

  test("a connection that was dropped after one invocation is opened by the next", async () => {
    const { cache, connection } = open(server.url);
    await cache.add([A]);
    await connection.close();
    expect(await cache.has([A])).toEqual([true]);
  });
});

describe.skipIf(SERVER === undefined)("a server with bounds of its own", () => {
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

  test("a server that throws entries out, or has no room for more, is never wrong about what it still knows", async () => {
    const { url } = await start({ maxmemory: "3mb", "maxmemory-policy": "allkeys-random" });
    const full = await start({ maxmemory: "1kb", "maxmemory-policy": "noeviction" });
    const told = Array.from({ length: 20_000 }, (_, n) => listed(`told/${n}`));
    const { cache } = open(url);
    await cache.add(told);
    const known = (await cache.has(told)).filter(Boolean).length;
    expect(known).toBeGreaterThan(0);
    expect(known).toBeLessThan(told.length);
    expect((await cache.has(told.map((object) => ({ ...object, etag: "new" })))).filter(Boolean)).toEqual([]);
    const other = open(full.url);
    await other.cache.add(OBJECTS);
    expect(await other.cache.has(OBJECTS)).toEqual(NOTHING);
    expect(other.files.takeUse()).toMatchObject({ asked: 1000, added: 0, unasked: 0, failed: { OOM: 1000 } });
  });

  test.skipIf(OPENSSL === undefined)(
    "an encrypted connection is made to a server whose certificate is trusted, and to no other",
    async () => {
      const { folder, certificate, settings } = selfSigned(await freePort());
      const trusted = getCACertificates("default");
      try {
        const { url } = await start(settings);
        const port = Number(settings["tls-port"]);
        const { cache, files, clock } = open(`rediss://localhost:${port}`);
        expect(url).not.toContain(String(port));
        expect(await cache.has([A])).toEqual([false]);
        expect(Object.keys(files.takeUse().failed)).toEqual(["DEPTH_ZERO_SELF_SIGNED_CERT"]);
        setDefaultCACertificates([...trusted, certificate]);
        clock.advance(BOUNDS.restMs);
        await cache.add([A]);
        expect(await cache.has([A])).toEqual([true]);
      } finally {
        setDefaultCACertificates(trusted);
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  test("a password is sent, is asked for anew at each connecting, and a wrong or missing one only costs", async () => {
    const { url } = await start({ requirepass: "right" });
    let password = "wrong";
    const { cache, clock, files } = open(url, { login: async () => ({ password }) });
    await cache.add([A]);
    expect(files.takeUse().failed).toEqual({ WRONGPASS: 1 });
    password = "right";
    clock.advance(BOUNDS.restMs);
    await cache.add([A]);
    expect(await cache.has([A])).toEqual([true]);
    const without = open(url);
    expect(await without.cache.has([A])).toEqual([false]);
    expect(without.files.takeUse().failed).toEqual({ NOAUTH: 1 });
    const secretless = open(url, { login: () => Promise.reject(new Error("no secret")) });
    expect(await secretless.cache.has([A])).toEqual([false]);
    expect(secretless.files.takeUse().failed).toEqual({ "no secret": 1 });
  });
});
