// Finds the names of a deployed stack's parts. CloudFormation generates them, so they are read from the file that
// `npm run deploy` writes (`cdk deploy --outputs-file`); the local stack writes the same file.

import { MoraineError } from "../lambdas/core/errors.ts";
import { isRecord } from "../lambdas/core/json-shape.ts";
import type { Terminal } from "./terminal.ts";

/** Written by `npm run deploy`. */
export const DEPLOYED_OUTPUTS = "cdk-outputs.json";
/** Written by the local stack. */
export const LOCAL_OUTPUTS = ".moraine/outputs.json";

export interface StackParts {
  readonly ledgerTable: string;
  /** Name of a bucket in `moraine.yaml` to its real name. */
  readonly buckets: Readonly<Record<string, string>>;
  /** Of the configuration the stack was made of. */
  readonly ingestions?: string;
  readonly queues: readonly { readonly queue: string; readonly url: string }[];
  /** ARN of the backfill state machine. */
  readonly backfill?: string;
  /** Of the local stack. */
  readonly endpointUrl?: string;
  readonly region?: string;
}

export interface PartsOptions {
  readonly stack: string;
  readonly outputs?: string;
  readonly ledgerTable?: string;
  readonly endpointUrl?: string;
}

const QUEUES: Readonly<Record<string, string>> = {
  intake: "IntakeQueueUrl",
  backfill: "BackfillQueueUrl",
  "intake dead letters": "IntakeDeadLetterQueueUrl",
  commit: "CommitQueueUrl",
  "commit dead letters": "CommitDeadLetterQueueUrl",
};

/** The file named by the caller, else the one that fits: with an endpoint the local stack's first, else the deployed one's. */
export function findParts(terminal: Pick<Terminal, "readFile" | "env">, options: PartsOptions): StackParts {
  const named = options.outputs ?? terminal.env["MORAINE_OUTPUTS"];
  const { ledgerTable } = options;
  const found = named === undefined ? search(terminal, options) : readOutputs(terminal, named, options.stack);
  // Another stack's buckets and queues say nothing about the ledger that was named.
  if (ledgerTable !== undefined && (found === undefined || (named === undefined && found.ledgerTable !== ledgerTable)))
    return { ledgerTable, buckets: {}, queues: [] };
  if (found !== undefined) return ledgerTable === undefined ? found : { ...found, ledgerTable };
  if (named !== undefined) throw unreadable(named, "does not exist");
  throw new MoraineError(
    "Invalid",
    `the ledger's table is not known: run \`npm run deploy\` here (it writes ${DEPLOYED_OUTPUTS}), start the local stack with \`npm start\` (it writes ${LOCAL_OUTPUTS}), or give --outputs FILE or --ledger-table NAME`,
  );
}

function search(terminal: Pick<Terminal, "readFile">, { stack, endpointUrl }: PartsOptions): StackParts | undefined {
  const order = endpointUrl === undefined ? [DEPLOYED_OUTPUTS, LOCAL_OUTPUTS] : [LOCAL_OUTPUTS, DEPLOYED_OUTPUTS];
  for (const file of order) {
    const parts = readOutputs(terminal, file, stack);
    if (parts !== undefined) return parts;
  }
  return undefined;
}

function readOutputs(terminal: Pick<Terminal, "readFile">, file: string, stack: string): StackParts | undefined {
  const text = terminal.readFile(file);
  if (text === undefined) return undefined;
  const stacks = parseRecord(text, file);
  const outputs = stacks[stack];
  if (!isRecord(outputs)) {
    const names = Object.keys(stacks).join(", ");
    throw unreadable(file, `has no stack named ${stack}; give --stack with one of: ${names}`);
  }
  const text_ = (name: string): string | undefined => (typeof outputs[name] === "string" ? outputs[name] : undefined);
  const ledgerTable = text_("LedgerTable");
  if (ledgerTable === undefined) throw unreadable(file, `stack ${stack} has no output LedgerTable; deploy it again`);
  const endpointUrl = text_("EndpointUrl");
  const region = text_("Region");
  const backfill = text_("BackfillStateMachineArn");
  const ingestions = text_("Ingestions");
  return {
    ledgerTable,
    buckets: parseRecord(text_("Buckets") ?? "{}", file) as Record<string, string>,
    queues: Object.entries(QUEUES).flatMap(([queue, name]) => {
      const url = text_(name);
      return url === undefined ? [] : [{ queue, url }];
    }),
    ...(backfill === undefined ? {} : { backfill }),
    ...(ingestions === undefined ? {} : { ingestions }),
    ...(endpointUrl === undefined ? {} : { endpointUrl }),
    ...(region === undefined ? {} : { region }),
  };
}

function parseRecord(text: string, file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // said below
  }
  throw unreadable(file, "is no JSON object as `cdk deploy --outputs-file` writes it; deploy again");
}

function unreadable(file: string, why: string): MoraineError {
  return new MoraineError("Invalid", `outputs file ${file} ${why}`);
}
