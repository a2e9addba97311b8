// The commands around schema changes: what waits for a decision, deciding, and what became of a schema. One function each, as in commands.ts.

import { MoraineError } from "../lambdas/core/errors.ts";
import type { IngestionId } from "../lambdas/core/ids.ts";
import { carryOut, decide } from "../lambdas/core/schema/carry-out.ts";
import { changesOf, countHeld, type HeldCount, versionsOf } from "../lambdas/core/schema/history.ts";
import type { SchemaChange, SchemaVersion, Verdict } from "../lambdas/core/schema/records.ts";
import { DEFAULT_LIMITS } from "../lambdas/core/settings.ts";
import { chosenIngestions, type GlobalOptions, onStack, respond, type Stack } from "./commands.ts";
import { renderChange, renderChanges, renderDecided, renderHistory } from "./render-schema.ts";
import type { Terminal } from "./terminal.ts";

export interface ShownChange extends SchemaChange {
  readonly held: HeldCount;
}

export interface Decided {
  readonly change: SchemaChange;
  readonly released: number;
  /** Files a loader has in hand: the sweeper sees to them. */
  readonly left: number;
}

export interface HistoryOfIngestion {
  readonly ingestion: IngestionId;
  readonly versions: readonly SchemaVersion[];
  readonly changes: readonly SchemaChange[];
}

/** Counting held files costs reads. */
const COUNTED_MAX = 10_000;

export async function schemaList(
  terminal: Terminal,
  options: GlobalOptions,
  query: { readonly ingestion?: string; readonly all: boolean },
): Promise<boolean> {
  return onStack(terminal, options, async (stack) => {
    const changes: ShownChange[] = [];
    for (const { id } of chosenIngestions(stack.config, options, query.ingestion)) {
      for (const change of await changesOf(stack.operator.ledger, id)) {
        if (query.all || change.carriedOutAtMs === undefined) changes.push(await shown(stack, change));
      }
    }
    respond(terminal, options, changes, renderChanges);
    return true;
  });
}

export async function schemaShow(terminal: Terminal, options: GlobalOptions, fingerprint: string): Promise<boolean> {
  return onStack(terminal, options, async (stack) => {
    const change = await findChange(stack, fingerprint);
    respond(terminal, options, await shown(stack, change), renderChange);
    return true;
  });
}

export async function schemaDecide(
  terminal: Terminal,
  options: GlobalOptions,
  fingerprint: string,
  decision: { readonly verdict: Verdict; readonly by?: string; readonly why?: string },
): Promise<boolean> {
  return onStack(terminal, options, async (stack) => {
    const found = await findChange(stack, fingerprint);
    const ingestion = stack.config.ingestions.find(({ id }) => id === found.ingestion);
    const intake = stack.parts.queues.find(({ queue }) => queue === "intake");
    if (ingestion === undefined || intake === undefined) {
      throw new MoraineError("Invalid", "the intake queue is not known: give --outputs FILE of the stack");
    }
    const ports = stack.operator.decisionPorts(intake.url);
    const { target } = ingestion;
    const by = decision.by ?? terminal.env["USER"] ?? terminal.env["USERNAME"] ?? "unknown";
    const why = decision.why === undefined ? {} : { why: decision.why };
    const place = { ingestion: ingestion.id, target, fingerprint: found.fingerprint };
    const decided = await decide(ports, place, { verdict: decision.verdict, by, ...why });
    const answer: Decided = await carryOut(ports, DEFAULT_LIMITS, target, decided);
    respond(terminal, options, answer, renderDecided);
    return true;
  });
}

export async function schemaHistory(terminal: Terminal, options: GlobalOptions, named?: string): Promise<boolean> {
  return onStack(terminal, options, async ({ operator, config }) => {
    const histories: HistoryOfIngestion[] = [];
    for (const { id } of chosenIngestions(config, options, named)) {
      const [versions, changes] = await Promise.all([versionsOf(operator.ledger, id), changesOf(operator.ledger, id)]);
      histories.push({ ingestion: id, versions, changes });
    }
    respond(terminal, options, histories, renderHistory);
    return true;
  });
}

async function shown({ operator }: Stack, change: SchemaChange): Promise<ShownChange> {
  return { ...change, held: await countHeld(operator.ledger, change, COUNTED_MAX) };
}

/** By the start of its fingerprint, over all ingestions. */
async function findChange({ operator, config }: Stack, start: string): Promise<SchemaChange> {
  const all = await Promise.all(config.ingestions.map(({ id }) => changesOf(operator.ledger, id)));
  const found = all.flat().filter(({ fingerprint }) => fingerprint.startsWith(start.toLowerCase()));
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  const problem =
    only === undefined
      ? `no schema change ${start}: moraine schema list --all shows those there were`
      : `${found.length} schema changes begin with ${start}: write more of it`;
  throw new MoraineError("Invalid", problem);
}
