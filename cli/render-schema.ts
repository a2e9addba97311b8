// Schema changes as text for people. Pure.

import { differenceText } from "../lambdas/core/schema/diff.ts";
import type { HeldCount } from "../lambdas/core/schema/history.ts";
import type { HeldDifference, SchemaChange } from "../lambdas/core/schema/records.ts";
import { heldText } from "../lambdas/core/schema/tend.ts";
import type { Decided, HistoryOfIngestion, ShownChange } from "./schema-commands.ts";
import { formatCount, formatFacts, formatTable, formatTime, printable } from "./text.ts";

export function renderChanges(changes: readonly ShownChange[]): string {
  if (changes.length === 0) return "no schema change waits for a decision\n";
  return formatTable(
    ["FINGERPRINT", "STATUS", "INGESTION", "HELD FILES", "ROWS", "OPENED", "DIFFERENCE"],
    changes.map((change) => [
      change.fingerprint,
      statusOf(change),
      change.ingestion,
      counted(change.held, "files"),
      counted(change.held, "rows"),
      formatTime(change.openedAtMs),
      printable(change.differences.map(differenceText).join("; ")),
    ]),
  );
}

export function renderChange(change: ShownChange): string {
  const { fingerprint, differences, decisions, held } = change;
  const facts = formatFacts([
    ["status", statusOf(change)],
    ["ingestion", change.ingestion],
    ["table", change.table],
    ["opened", formatTime(change.openedAtMs)],
    ["alerted", change.alertedAtMs === undefined ? undefined : formatTime(change.alertedAtMs)],
    ["first file", printable(change.firstFile)],
    ["held", `${counted(held, "files")} files, ${counted(held, "rows")} rows`],
    ["released", change.released === undefined ? undefined : `${formatCount(change.released)} files`],
    ...decisions.map((decision) => ["decided", decisionText(decision)] as const),
  ]);
  const lines = differences.map((difference) => `  ${printable(heldText(difference))}${siblingText(difference)}\n`);
  const remedy = change.status === "OPEN" ? remedyText(change) : "";
  return `schema change ${fingerprint}\n${facts}\n${lines.join("")}${remedy}`;
}

export function renderDecided({ change, released, left }: Decided): string {
  const verb = change.status === "REJECTED" ? "rejected" : "released";
  const rest = left === 0 ? "" : `; ${formatCount(left)} more are in a loader's hands and follow within minutes`;
  const siblings = change.differences.map(siblingText).join("");
  return `schema change ${change.fingerprint} is ${change.status}${siblings}: ${formatCount(released)} files ${verb}${rest}\n`;
}

export function renderHistory(histories: readonly HistoryOfIngestion[]): string {
  return histories
    .map(({ ingestion, versions, changes }) => {
      const entries = [
        ...versions.map(({ atMs, schemaId, changes: texts, fingerprint }) => ({
          atMs,
          text: `schema ${schemaId}: ${texts.join("; ")}${fingerprint === undefined ? "" : ` (change ${fingerprint})`}`,
        })),
        ...changes.flatMap(({ fingerprint, decisions }) =>
          decisions.map((decision) => ({ atMs: decision.atMs, text: `${fingerprint} ${decisionText(decision)}` })),
        ),
      ].toSorted((a, b) => a.atMs - b.atMs);
      const lines = entries.map(({ atMs, text }) => `  ${formatTime(atMs)}  ${printable(text)}\n`);
      return `${ingestion}\n${lines.length === 0 ? "  nothing has changed since the table was made\n" : lines.join("")}`;
    })
    .join("");
}

function statusOf({ status, carriedOutAtMs }: SchemaChange): string {
  return status === "OPEN" || carriedOutAtMs !== undefined ? status : `${status}, being carried out`;
}

function decisionText({ verdict, by, why, atMs }: SchemaChange["decisions"][number]): string {
  return printable(`${verdict} by ${by} ${formatTime(atMs)}${why === undefined ? "" : `: ${why}`}`);
}

function siblingText({ path, column }: HeldDifference): string {
  return column === undefined ? "" : printable(` -> what does not fit ${path} goes to ${column}`);
}

function remedyText({ fingerprint }: SchemaChange): string {
  return formatFacts([
    [
      `moraine schema accept ${fingerprint}`,
      "the new shape becomes current, the old column is kept under another name",
    ],
    [`moraine schema merge ${fingerprint}`, "side by side: what does not fit goes to a column of its own"],
    [`moraine schema reject ${fingerprint}`, "the files are rejected for good"],
  ]);
}

function counted(held: HeldCount, what: "files" | "rows"): string {
  return `${formatCount(held[what])}${held.capped ? "+" : ""}`;
}
