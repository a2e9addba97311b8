// A terminal in memory: files, environment and services of the harness, and everything that was written.

import { runProgram } from "../../../cli/program.ts";
import type { OperatorTarget, QueueDepth } from "../../../lambdas/adapters/operator.ts";
import type { Ledger } from "../../../lambdas/core/ports.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What the command connected to. */
  readonly target: OperatorTarget | undefined;
}

export interface Machine {
  readonly files: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly ledger: Ledger;
  readonly queueDepth?: (url: string) => Promise<QueueDepth>;
}

export async function run(machine: Machine, ...argv: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  let target: OperatorTarget | undefined;
  const code = await runProgram(argv, {
    write: (text) => {
      out += text;
    },
    writeError: (text) => {
      err += text;
    },
    readFile: (path) => machine.files[path],
    env: machine.env ?? {},
    connect: (to) => {
      target = to;
      const queueDepth = machine.queueDepth ?? (async () => ({ waiting: 0, inFlight: 0, delayed: 0 }));
      return { ledger: machine.ledger, queueDepth };
    },
  });
  return { code, out, err, target };
}

export const CONFIG = `
landing: [{ bucket: landing }]
ingestions:
  - id: orders
    source: { prefix: orders/, exclude: ["**/*.tmp"] }
    format: { type: ndjson }
    target: { database: db, table: orders }
  - id: clicks
    source: { prefix: clicks/ }
    format: { type: ndjson }
    target: { database: db, table: clicks }
`;

/** As `cdk deploy --outputs-file` writes it. The landing bucket keeps its name, as the harness knows it. */
export function outputsFile(changes: Readonly<Record<string, string>> = {}, stack = "Moraine"): string {
  const outputs = {
    LedgerTable: "ledger-1",
    Buckets: JSON.stringify({ landing: "landing" }),
    IntakeQueueUrl: "https://sqs/intake",
    IntakeDeadLetterQueueUrl: "https://sqs/intake-dead",
    CommitQueueUrl: "https://sqs/commit.fifo",
    CommitDeadLetterQueueUrl: "https://sqs/commit-dead.fifo",
    ...changes,
  };
  return JSON.stringify({ [stack]: outputs });
}
