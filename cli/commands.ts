// One function per command: reads what it needs, asks the ledger, writes one answer. true: the answer is yes.

import type { Operator } from "../lambdas/adapters/operator.ts";
import { type Ingestion, idsText, type MoraineConfig } from "../lambdas/core/config.ts";
import { parseConfig } from "../lambdas/core/config-file.ts";
import { MoraineError } from "../lambdas/core/errors.ts";
import { tableIdOf } from "../lambdas/core/ids.ts";
import { FILE_STATUSES, type FileStatus } from "../lambdas/core/records.ts";
import { resolveBuckets } from "../lambdas/core/resolve-buckets.ts";
import { readFileStory } from "./file-story.ts";
import { listFiles } from "./ledger-index.ts";
import { findParts, type StackParts } from "./outputs.ts";
import { renderFiles, renderStatus, renderStory } from "./render.ts";
import { readQueues, readStatus } from "./status.ts";
import type { Terminal } from "./terminal.ts";

export interface GlobalOptions {
  readonly json: boolean;
  readonly config: string;
  readonly stack: string;
  readonly outputs?: string;
  readonly ledgerTable?: string;
  readonly region?: string;
  readonly endpointUrl?: string;
}

export interface FilesOptions {
  readonly status?: FileStatus;
  readonly ingestion?: string;
  readonly prefix?: string;
  readonly limit: number;
}

export async function status(terminal: Terminal, options: GlobalOptions): Promise<boolean> {
  return onStack(terminal, options, async ({ operator, parts, config }) => {
    const known = await readStatus(operator.ledger, config.ingestions);
    const queues = await readQueues(parts.queues, (url) => operator.queueDepth(url));
    respond(terminal, options, { ...known, queues }, renderStatus);
    return true;
  });
}

export async function files(terminal: Terminal, options: GlobalOptions, query: FilesOptions): Promise<boolean> {
  return onStack(terminal, options, async ({ operator, parts, config }) => {
    const ingestions = chosenIngestions(config, options, query.ingestion);
    const page = await listFiles(operator.ledger, {
      ingestions,
      statuses: query.status === undefined ? FILE_STATUSES : [query.status],
      limit: query.limit,
      ...(query.prefix === undefined ? {} : { prefix: withRealBucket(query.prefix, parts.buckets) }),
    });
    respond(terminal, options, page, renderFiles);
    return true;
  });
}

export async function file(terminal: Terminal, options: GlobalOptions, path: string): Promise<boolean> {
  return onStack(terminal, options, async ({ operator, parts, config }) => {
    const story = await readFileStory(operator.ledger, config.ingestions, withRealBucket(path, parts.buckets));
    respond(terminal, options, story, renderStory);
    return story.records.length > 0;
  });
}

/** The ingestion named, or all. */
export function chosenIngestions(config: MoraineConfig, options: GlobalOptions, named?: string): readonly Ingestion[] {
  const chosen = config.ingestions.filter(({ id }) => named === undefined || id === named);
  if (chosen.length > 0) return chosen;
  const ids = config.ingestions.map(({ id }) => id).join(", ");
  throw new MoraineError("Invalid", `no ingestion ${named} in ${options.config}: name one of: ${ids}`);
}

export function validate(terminal: Terminal, options: GlobalOptions, name = options.config): boolean {
  const { config, errors = [] } = readConfig(terminal, name);
  const answer = { file: name, valid: config !== undefined, errors };
  if (config === undefined) complain(terminal, options, answer);
  else respond(terminal, options, answer, () => `${name} is valid: ${summaryOf(config)}\n`);
  return config !== undefined;
}

export interface Stack {
  readonly operator: Operator;
  readonly parts: StackParts;
  /** With real bucket names. */
  readonly config: MoraineConfig;
}

export async function onStack(
  terminal: Terminal,
  options: GlobalOptions,
  ask: (stack: Stack) => Promise<boolean>,
): Promise<boolean> {
  const { config, errors = [] } = readConfig(terminal, options.config);
  if (config === undefined) {
    complain(terminal, options, { file: options.config, valid: false, errors });
    return false;
  }
  const told = options.endpointUrl ?? terminal.env["MORAINE_ENDPOINT_URL"];
  const parts = findParts(terminal, { ...options, ...(told === undefined ? {} : { endpointUrl: told }) });
  warnOfOthers(terminal, options, parts, config);
  const endpointUrl = told ?? parts.endpointUrl;
  const region = options.region ?? parts.region ?? (endpointUrl === undefined ? undefined : LOCAL_REGION);
  const operator = terminal.connect({
    ledgerTable: parts.ledgerTable,
    ...(region === undefined ? {} : { region }),
    ...(endpointUrl === undefined ? {} : { endpointUrl }),
  });
  return ask({ operator, parts, config: resolveBuckets(config, parts.buckets) });
}

/** The stack may have been made of another configuration: its ingestions would seem to be empty, or would not be seen at all. */
function warnOfOthers(terminal: Terminal, { config: name }: GlobalOptions, parts: StackParts, config: MoraineConfig) {
  const [theirs, own] = [parts.ingestions, idsText(config)];
  if (theirs === undefined || theirs === own) return;
  const remedy = `give the file it was made of with --config, or deploy ${name}`;
  terminal.writeError(`the stack has the ingestions ${theirs}, and ${name} has ${own}: ${remedy}\n`);
}

/** The local stack's; its services do not ask. */
const LOCAL_REGION = "us-east-1";

function readConfig(terminal: Terminal, name: string): ReturnType<typeof parseConfig> {
  const text = terminal.readFile(name);
  if (text === undefined) return { errors: [`${name}: does not exist; write it, or name another with --config`] };
  return parseConfig(text, name);
}

/** A path may name a bucket as `moraine.yaml` does; the ledger knows its real name. */
export function withRealBucket(path: string, buckets: StackParts["buckets"]): string {
  return path.replace(/^s3:\/\/([^/]+)/, (whole, bucket: string) => {
    return Object.hasOwn(buckets, bucket) ? `s3://${buckets[bucket]}` : whole;
  });
}

function summaryOf({ ingestions }: MoraineConfig): string {
  const tables = new Set(ingestions.map(({ target }) => tableIdOf(target)));
  return `${count(ingestions.length, "ingestion")} into ${count(tables.size, "table")}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export function respond<T>(
  terminal: Terminal,
  { json }: GlobalOptions,
  answer: T,
  render: (answer: T) => string,
): void {
  terminal.write(json ? `${JSON.stringify(answer, null, 2)}\n` : render(answer));
}

function complain(
  terminal: Terminal,
  options: GlobalOptions,
  answer: { readonly file: string; readonly valid: boolean; readonly errors: readonly string[] },
): void {
  if (options.json) respond(terminal, options, answer, () => "");
  else terminal.writeError(answer.errors.map((error) => `${error}\n`).join(""));
}
