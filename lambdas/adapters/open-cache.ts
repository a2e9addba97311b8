// The cache of known files as the configuration names it; nothing where it names none. One connection serves a whole sandbox.

import type { CacheConfig } from "../core/config.ts";
import type { Clock } from "../core/ports.ts";
import { secretLogin } from "./cache-login.ts";
import { ValkeyConnection } from "./valkey-connection.ts";
import { type CacheUse, ValkeyKnownFiles } from "./valkey-known-files.ts";

export interface OpenCache {
  readonly files: ValkeyKnownFiles;
  /** What it did since this was last called. The connection is dropped: a sandbox that is frozen would keep a dead one. */
  settle(): Promise<CacheUse>;
}

export function openCache(config: CacheConfig | undefined, ledgerId: string, clock: Clock): OpenCache | undefined {
  if (config === undefined) return undefined;
  const { url, ttlSeconds, secretArn } = config;
  const login = secretArn === undefined ? {} : { login: secretLogin(secretArn) };
  const connection = new ValkeyConnection({ url, clock, ...login });
  const files = new ValkeyKnownFiles({ connection, ledgerId, ttlSeconds });
  return {
    files,
    settle: async () => {
      await connection.close();
      return files.takeUse();
    },
  };
}
