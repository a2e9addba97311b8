// A terminal in memory: files, environment and services of the harness, and everything that was written.

import { runProgram } from "../../../cli/program.ts";
import type { Operator, OperatorTarget, QueueDepth } from "../../../lambdas/adapters/operator.ts";
import type { BucketLister, Ledger } from "../../../lambdas/core/ports.ts";

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
  readonly lister?: BucketLister;
  /** Runs the state machine at once. */
  readonly startExecution?: Operator["startExecution"];
  readonly execution?: Operator["execution"];
  readonly decisionPorts?: Operator["decisionPorts"];
  readonly now?: () => number;
  /** What happens while the command waits. */
  readonly sleep?: () => Promise<void>;
  readonly interrupted?: () => boolean;
}

export const RUN_ID = "0190a000-0000-7000-8000-000000000001";

const SLEEPS_MAX = 1000;
const missing = () => Promise.reject(new Error("this machine has no such service"));

function expectNothing(): never {
  throw new Error("this machine decides nothing");
}

export async function run(machine: Machine, ...argv: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  let sleeps = 0;
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
      return {
        ledger: machine.ledger,
        lister: machine.lister ?? { page: missing },
        queueDepth: machine.queueDepth ?? (async () => ({ waiting: 0, inFlight: 0, delayed: 0 })),
        startExecution: machine.startExecution ?? missing,
        execution: machine.execution ?? missing,
        decisionPorts: machine.decisionPorts ?? (() => expectNothing()),
      };
    },
    now: machine.now ?? (() => 0),
    sleep: async () => {
      if (++sleeps > SLEEPS_MAX) throw new Error("the command waits for ever");
      await machine.sleep?.();
    },
    uuid: () => RUN_ID,
    interrupted: machine.interrupted ?? (() => false),
    rewrites: false,
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
