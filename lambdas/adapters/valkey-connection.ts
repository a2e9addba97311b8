// One connection to a Valkey or Redis server that may be slow or away at any time without anybody having to wait for it.
//
//   closed -> open -> (a call fails or is late) -> resting for `restMs` -> closed      while resting, nothing is asked
//
// Calls take turns, so that none is late because of those before it, and none waits for its turn longer than for an answer.
// Each connection is used until its first failure and then dropped with whatever it still owes: the client's own reconnecting and
// queueing are switched off, so nothing of an old call can arrive in a new one.

import type { RedisClientType } from "@redis/client";
import type { Clock } from "../core/ports.ts";

export interface ServerLogin {
  readonly username?: string;
  readonly password: string;
}

export interface ValkeyOptions {
  /** `redis://host:port` or `rediss://host:port`. */
  readonly url: string;
  /** Asked at each connecting, so that a rotated password is taken up. Absent: none is sent. */
  readonly login?: () => Promise<ServerLogin>;
  readonly clock: Clock;
  readonly bounds?: Partial<typeof VALKEY_BOUNDS>;
}

/**
 * A server that hangs costs at most connectMs in every connectMs + restMs: 6 %. One that is slow costs a call at most twice callMs. A
 * thousand commands take 20 ms of this side's processor, so that is 50 lanes whose calls come all at once.
 */
export const VALKEY_BOUNDS = { connectMs: 2_000, callMs: 1_000, restMs: 30_000 };

export type Command = readonly [string, ...string[]];

/** An error is the server's answer to that command alone. */
export type Answer = { readonly value: unknown } | { readonly error: Error };

export type CallOutcome =
  | { readonly kind: "answered"; readonly answers: readonly Answer[] }
  | { readonly kind: "failed"; readonly error: Error }
  /** The server failed a moment ago, or the call had to wait too long for its turn. */
  | { readonly kind: "unasked" };

const UNASKED: CallOutcome = { kind: "unasked" };

type Client = RedisClientType<Record<string, never>, Record<string, never>, Record<string, never>, 2>;

interface Opened {
  readonly client: Client;
  /** Whether the server answered with it; other errors are the connection's. */
  isReply(error: unknown): boolean;
}

export class ValkeyConnection {
  readonly #options: ValkeyOptions;
  readonly #bounds: typeof VALKEY_BOUNDS;
  #opened: Promise<Opened> | undefined;
  #restUntilMs = 0;
  /** The call before the next one. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ValkeyOptions) {
    this.#options = options;
    this.#bounds = { ...VALKEY_BOUNDS, ...options.bounds };
  }

  /** All commands in one pipeline. Never throws. */
  call(commands: readonly Command[]): Promise<CallOutcome> {
    const { clock } = this.#options;
    const latestMs = clock.now() + this.#bounds.callMs;
    const isTooLate = () => clock.now() > latestMs || clock.now() < this.#restUntilMs;
    const call = this.#turn.then(() => (isTooLate() ? UNASKED : this.#ask(commands)));
    this.#turn = call;
    return call;
  }

  async #ask(commands: readonly Command[]): Promise<CallOutcome> {
    this.#opened ??= this.#connect();
    const opened = this.#opened;
    try {
      const { client, isReply } = await opened;
      const replies = commands.map((command) => client.sendCommand([...command]));
      const settled = await within(this.#bounds.callMs, Promise.allSettled(replies));
      return { kind: "answered", answers: settled.map((one) => answerOf(one, isReply)) };
    } catch (error) {
      this.#restUntilMs = this.#options.clock.now() + this.#bounds.restMs;
      if (this.#opened === opened) await this.close();
      return { kind: "failed", error: error as Error };
    }
  }

  /** Drops the connection; the next call opens one. */
  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    drop((await opened?.catch(() => undefined))?.client);
  }

  async #connect(): Promise<Opened> {
    const opening: Opening = {};
    const ready = this.#open(opening);
    try {
      return await within(this.#bounds.connectMs, ready);
    } catch (error) {
      // Whatever becomes of it now, no socket stays behind.
      opening.isAbandoned = true;
      drop(opening.client);
      ready.then(({ client }) => drop(client)).catch(() => undefined);
      throw error;
    }
  }

  async #open(opening: Opening): Promise<Opened> {
    // Loaded only where a cache is configured: a cold start without one does not pay for it.
    const { createClient, ErrorReply } = await import("@redis/client");
    const login = await this.#options.login?.();
    if (opening.isAbandoned) throw new Error("abandoned");
    const client = createClient({
      RESP: 2,
      url: this.#options.url,
      ...login,
      socket: { connectTimeout: this.#bounds.connectMs, reconnectStrategy: false },
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: "disabled",
    }) as unknown as Client;
    opening.client = client;
    // What fails rejects the commands it concerns; without a listener it would also end the process.
    client.on("error", () => undefined);
    await client.connect();
    return { client, isReply: (error) => error instanceof ErrorReply };
  }
}

interface Opening {
  client?: Client;
  isAbandoned?: boolean;
}

function drop(client: Client | undefined): void {
  if (client?.isOpen) client.destroy();
}

/** Throws what concerns the connection. */
function answerOf(settled: PromiseSettledResult<unknown>, isReply: Opened["isReply"]): Answer {
  if (settled.status === "fulfilled") return { value: settled.value };
  if (isReply(settled.reason)) return { error: settled.reason as Error };
  throw settled.reason;
}

/** Sockets are read once more before it is too late: on a busy processor the answer may be there, and only not read yet. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => setImmediate(() => reject(new Error(`no answer within ${ms} ms`))), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
