// Conditional writes whose answer may get lost. A write that is refused because the item already carries our own revision
// has happened: the response was lost and the request sent again. So every write here is safe to repeat.

import { isKind } from "./errors.ts";
import type { Revision } from "./ids.ts";
import type { Ledger, LedgerItem, LedgerKey, WriteOutcome } from "./ports.ts";

const ATTEMPTS_MAX = 4;

export async function writeItem(
  ledger: Ledger,
  item: LedgerItem,
  expected: Revision | "absent",
): Promise<WriteOutcome> {
  const outcome = await repeated(() => ledger.write(item, expected));
  return outcome.kind === "refused" && outcome.current?.revision === item.revision ? { kind: "written" } : outcome;
}

/** Removing what is gone already counts as done; "refused" means that somebody changed the item. */
export async function removeItem(ledger: Ledger, key: LedgerKey, expected: Revision): Promise<WriteOutcome> {
  const outcome = await repeated(() => ledger.remove(key, expected));
  return outcome.kind === "refused" && outcome.current === undefined ? { kind: "written" } : outcome;
}

async function repeated(write: () => Promise<WriteOutcome>): Promise<WriteOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isKind(error, "UnknownOutcome", "Unavailable")) throw error;
    }
  }
}
