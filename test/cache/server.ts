// A real Valkey or Redis server for one test file: its own port on loopback, its own folder, nothing on disk that stays, ended by its id.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@redis/client";

export const SERVER = ["valkey-server", "redis-server"].find((name) => spawnSync(name, ["--version"]).status === 0);

export const OPENSSL = ["openssl"].find((name) => spawnSync(name, ["version"]).status === 0);

/** A certificate for localhost in a folder of its own, and the settings of a server that shows it on this port. */
export function selfSigned(port: number) {
  const folder = mkdtempSync(join(tmpdir(), "moraine-cache-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  spawnSync("openssl", [...request, ...subject]);
  const tls = { "tls-port": String(port), "tls-cert-file": cert, "tls-key-file": key };
  const settings: Record<string, string> = { ...tls, "tls-auth-clients": "no" };
  return { folder, certificate: readFileSync(cert, "utf8"), settings };
}

export interface Server {
  readonly url: string;
  readonly port: number;
  /** One command on a connection of its own. */
  command(...words: string[]): Promise<unknown>;
  /** SIGSTOP and SIGCONT: sockets stay open and nobody answers. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL: every connection is lost at once. */
  kill(): Promise<void>;
}

/** `port`: where a server that was killed stood. `settings`: as on its command line, without the dashes. */
export async function startServer(settings: Record<string, string> = {}, port?: number): Promise<Server> {
  if (SERVER === undefined) throw new Error("no valkey-server or redis-server on the PATH");
  const at = port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), "moraine-cache-"));
  const all = { bind: "127.0.0.1", port: String(at), dir: folder, save: "", appendonly: "no", ...settings };
  const words = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(SERVER, words, { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = `redis://127.0.0.1:${at}`;
  const login = settings["requirepass"] === undefined ? {} : { password: settings["requirepass"] };
  const command = (...sent: string[]) => commandAt(url, login, sent);
  await untilAnswered(child, () => command("PING"));
  return {
    url,
    port: at,
    command,
    freeze: () => child.kill("SIGSTOP"),
    thaw: () => child.kill("SIGCONT"),
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function commandAt(url: string, login: { password?: string }, words: string[]): Promise<unknown> {
  const client = createClient({ RESP: 2, url, ...login, socket: { reconnectStrategy: false } });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}

async function untilAnswered(child: ChildProcess, ask: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await ask();
      return;
    } catch (error) {
      if (attempt === 200 || child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
