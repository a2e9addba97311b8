// The cache of known files on a Valkey or Redis server: one string per object version, GET to ask and SET with a lifetime to add. Only
// commands of one key are sent, so a proxy before several nodes (ElastiCache Serverless) may spread them as it likes.
// Nothing here throws: what the server does not answer, or answers with anything but the entry, is not known, and is counted.

import { knownEntry } from "../core/discovery/known-entry.ts";
import type { KnownFilesCache } from "../core/discovery/known-files.ts";
import type { IngestionId } from "../core/ids.ts";
import type { ListedObject } from "../core/ports.ts";
import { chunk } from "./bounded.ts";
import type { Answer, Command, ValkeyConnection } from "./valkey-connection.ts";

export interface CacheUse {
  /** Objects looked up, those with an entry, those an entry was made for. */
  readonly asked: number;
  readonly known: number;
  readonly added: number;
  /** Objects that the server was not asked about or told of: it had failed a moment ago, or was too slow for all who asked. */
  readonly unasked: number;
  /** Objects by what kept the server from answering: an error code, or what the connection failed with. */
  readonly failed: Readonly<Record<string, number>>;
}

export interface ValkeyKnownFilesOptions {
  readonly connection: ValkeyConnection;
  readonly ledgerId: string;
  readonly ttlSeconds: number;
}

/** Objects asked for in one pipeline: what a page of a listing holds. */
const PIPELINE_MAX = 1000;

export class ValkeyKnownFiles {
  readonly #options: ValkeyKnownFilesOptions;
  #use = { asked: 0, known: 0, added: 0, unasked: 0 };
  #failed: Record<string, number> = {};

  constructor(options: ValkeyKnownFilesOptions) {
    this.#options = options;
  }

  /** Of one ingestion and bucket. */
  readonly of = (ingestion: IngestionId, bucket: string): KnownFilesCache => {
    const { ledgerId } = this.#options;
    const entryOf = (object: ListedObject) => knownEntry({ ledgerId, ingestion, bucket }, object);
    return {
      has: async (objects) => {
        const entries = objects.map(entryOf);
        const answers = await this.#call(entries.map(({ name }) => ["GET", name]));
        const known = entries.map(({ value }, index) => givenBy(answers[index]) === value);
        this.#use.asked += objects.length;
        this.#use.known += known.filter(Boolean).length;
        return known;
      },
      add: async (confirmed) => {
        const lifetime = String(this.#options.ttlSeconds);
        const entries = confirmed.map(entryOf);
        const answers = await this.#call(entries.map(({ name, value }) => ["SET", name, value, "EX", lifetime]));
        this.#use.added += answers.filter((answer) => givenBy(answer) === "OK").length;
      },
    };
  };

  /** Since it was last asked. */
  takeUse(): CacheUse {
    const use = { ...this.#use, failed: this.#failed };
    this.#use = { asked: 0, known: 0, added: 0, unasked: 0 };
    this.#failed = {};
    return use;
  }

  /** One answer of each command; undefined where there is none. */
  async #call(commands: readonly Command[]): Promise<readonly (Answer | undefined)[]> {
    const answers: (Answer | undefined)[] = [];
    for (const pipeline of chunk(commands, PIPELINE_MAX)) {
      const outcome = await this.#options.connection.call(pipeline);
      if (outcome.kind === "answered") for (const answer of outcome.answers) this.#count(answer);
      if (outcome.kind === "failed") this.#fail(outcome.error, pipeline.length);
      if (outcome.kind === "unasked") this.#use.unasked += pipeline.length;
      answers.push(...(outcome.kind === "answered" ? outcome.answers : pipeline.map(() => undefined)));
    }
    return answers;
  }

  #count(answer: Answer): void {
    if ("error" in answer) this.#fail(answer.error, 1);
  }

  #fail(error: Error, objects: number): void {
    const reason = reasonOf(error);
    this.#failed[reason] = (this.#failed[reason] ?? 0) + objects;
  }
}

function givenBy(answer: Answer | undefined): unknown {
  return answer !== undefined && "value" in answer ? answer.value : undefined;
}

/** `WRONGTYPE`, `ECONNREFUSED`, or the words of an error without a code. Short, so that there are few of them. */
function reasonOf(error: Error & { readonly code?: unknown }): string {
  if (typeof error.code === "string") return error.code;
  const code = /^[A-Z]{3,}\b/.exec(error.message)?.[0];
  return code ?? (error.message || error.name).slice(0, 60);
}
