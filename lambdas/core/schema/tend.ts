// The sweeper's part in schema changes: a new one raises one alert, and a decision that nobody carried to its end is.
// Only the sweeper alerts, so a change is alerted once, with counts; after a crash between the message and the note of it, twice.

import type { Ingestion } from "../config.ts";
import type { Revision } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import type { Alerts } from "../ports.ts";
import type { Settings } from "../settings.ts";
import { carryOut, type DecisionPorts } from "./carry-out.ts";
import { differenceText } from "./diff.ts";
import { changesOf, countHeld, type HeldCount } from "./history.ts";
import { changeItem, changeKey, type HeldDifference, readChange, type SchemaChange } from "./records.ts";

export interface TendContext {
  readonly ports: DecisionPorts & { readonly alerts: Alerts };
  readonly settings: Settings;
  /** Nothing new is begun after this. */
  readonly deadlineMs: number;
}

export interface TendReport {
  readonly alerted: number;
  readonly released: number;
  readonly errors: readonly unknown[];
}

/** Counting goes no further: the alert says "more than". */
const COUNTED_MAX = 10_000;

/** One change's failure is not another's. */
export async function tendSchemas(context: TendContext, ingestions: readonly Ingestion[]): Promise<TendReport> {
  const { ports, settings, deadlineMs } = context;
  let alerted = 0;
  let released = 0;
  const errors: unknown[] = [];
  for (const { id, target } of ingestions) {
    const changes = await changesOf(ports.ledger, id).catch((error: unknown) => {
      errors.push(error);
      return [];
    });
    for (const change of changes) {
      if (ports.clock.now() >= deadlineMs) return { alerted, released, errors };
      try {
        if (change.status !== "OPEN")
          released += (await carryOut(ports, settings, target, change, deadlineMs)).released;
        else if (change.alertedAtMs === undefined) alerted += await alert(context, change);
      } catch (error) {
        errors.push(error);
      }
    }
  }
  return { alerted, released, errors };
}

/** Said to be sent before it is, so that sweeps that overlap do not both send it; one that died in between is followed by another. */
async function alert({ ports, settings }: TendContext, { ingestion, fingerprint }: SchemaChange): Promise<number> {
  const key = changeKey(ingestion, fingerprint);
  const item = await ports.ledger.read(key);
  const change = item && readChange(item);
  if (item === undefined || change?.status !== "OPEN" || change.alertedAtMs !== undefined) return 0;
  const nowMs = ports.clock.now();
  if ((change.alertingAtMs ?? 0) + settings.functionLifetimeMs > nowMs) return 0;
  const held = await countHeld(ports.ledger, change, COUNTED_MAX);
  // Its first file is on its way to being held, or came to another end.
  if (held.files === 0) return 0;
  const alerting = changeItem({ ...change, alertingAtMs: nowMs }, ports.random.uuid() as Revision);
  if ((await writeItem(ports.ledger, alerting, item.revision)).kind === "refused") return 0;
  await ports.alerts.publish(alertOf(change, held));
  const alerted = { ...change, alertingAtMs: nowMs, alertedAtMs: ports.clock.now() };
  // Refused: somebody decided at this moment, and needs no alert any more.
  await writeItem(ports.ledger, changeItem(alerted, ports.random.uuid() as Revision), alerting.revision);
  return 1;
}

/** Differences in one mail; what to do about them stands below. */
const SHOWN_MAX = 20;

/** Subject and text of one mail. */
export function alertOf(change: SchemaChange, held: HeldCount): { readonly subject: string; readonly text: string } {
  const { ingestion, table, fingerprint, differences, firstFile } = change;
  const more = differences.length > SHOWN_MAX ? [`  and ${differences.length - SHOWN_MAX} more`] : [];
  const count = `${held.files}${held.capped ? "+" : ""} ${held.files === 1 ? "file" : "files"}, ${held.rows}${held.capped ? "+" : ""} rows`;
  return {
    subject: `Moraine: ${ingestion} holds files back: schema change ${fingerprint}`,
    text: [
      `Files of ingestion ${ingestion} differ from table ${table} in a way that needs a decision. They wait; everything else is loaded.`,
      "",
      ...differences.slice(0, SHOWN_MAX).map((difference) => `  ${heldText(difference)}`),
      ...more,
      "",
      `Held so far: ${count}. First file: ${firstFile}`,
      "",
      "Decide with one of:",
      `  moraine schema accept ${fingerprint}   the new shape becomes current, the old column is kept under another name`,
      `  moraine schema merge ${fingerprint}    both side by side: what does not fit goes to a column of its own`,
      `  moraine schema reject ${fingerprint}   the files are rejected for good`,
      "",
    ].join("\n"),
  };
}

/** For people: the difference with samples of it. */
export function heldText(difference: HeldDifference): string {
  const { samples = [], records } = difference;
  const shown = samples.length === 0 ? "" : `, such as ${samples.map((sample) => JSON.stringify(sample)).join(", ")}`;
  const rows = records === undefined ? "" : ` (${records} rows of the first file${shown})`;
  return `${differenceText(difference)}${rows}`;
}
