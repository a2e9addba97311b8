// `moraine`: the command line, and what each outcome means to a shell.
//
//   0  done                                           2  the command line, a file it names or a right must change
//   1  the answer is no: file not known, moraine.yaml  3  a service did not answer: try again
//      wrong, ledger damaged

import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { STRATEGIES } from "../lambdas/core/discovery/model.ts";
import { isKind, MoraineError } from "../lambdas/core/errors.ts";
import { FILE_STATUSES, type FileStatus } from "../lambdas/core/records.ts";
import type { Verdict } from "../lambdas/core/schema/records.ts";
import { file, files, type GlobalOptions, status, validate } from "./commands.ts";
import { backfill, checkpoints, recommend, run, runs } from "./run-commands.ts";
import { schemaDecide, schemaHistory, schemaList, schemaShow } from "./schema-commands.ts";
import type { Terminal } from "./terminal.ts";

export const EXIT = { done: 0, no: 1, usage: 2, unavailable: 3 } as const;

/** The name bin/app.ts gives the stack unless told. */
const DEFAULT_STACK = "Moraine";
const DEFAULT_CONFIG = "moraine.yaml";

export async function runProgram(argv: readonly string[], terminal: Terminal): Promise<number> {
  let code: number = EXIT.done;
  const program = buildProgram(terminal, (outcome) => {
    code = outcome ? EXIT.done : EXIT.no;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (!(error instanceof MoraineError)) throw error;
    terminal.writeError(`moraine: ${error.message}\n`);
    if (error.context["error"] === "ECONNREFUSED") terminal.writeError(NOBODY_THERE);
    if (isKind(error, "Invalid")) return EXIT.usage;
    return isKind(error, "Unavailable", "UnknownOutcome") ? EXIT.unavailable : EXIT.no;
  }
}

/** The outputs of a local stack that is gone, or of another one than was meant. */
const NOBODY_THERE =
  "nothing answers at that address: is npm start running? The stack of npm start --data-dir DIR is found by --outputs DIR/outputs.json\n";

function buildProgram(terminal: Terminal, answer: (outcome: boolean) => void): Command {
  const program = new Command("moraine")
    .description("What was loaded, what was not, and why.")
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.write(text), writeErr: (text) => terminal.writeError(text) })
    .showHelpAfterError("(moraine --help shows all commands)")
    .addOption(new Option("--json", "one JSON document instead of text").default(false))
    .addOption(new Option("--config <file>", "the configuration").default(DEFAULT_CONFIG))
    .addOption(new Option("--stack <name>", "the stack's name").default(DEFAULT_STACK))
    .addOption(new Option("--outputs <file>", "the stack's outputs; found unless told (MORAINE_OUTPUTS)"))
    .addOption(new Option("--ledger-table <name>", "the ledger's DynamoDB table, instead of the outputs' one"))
    .addOption(new Option("--region <name>", "AWS region; the SDK's default unless told"))
    .addOption(new Option("--endpoint-url <url>", "address of the local stack (MORAINE_ENDPOINT_URL)"))
    .addHelpText("after", "\nExit codes: 0 done, 1 the answer is no, 2 usage or rights, 3 a service did not answer.");
  const options = () => program.opts<GlobalOptions>();

  program
    .command("status")
    .description("tables with their commits, ingestions with what needs attention, queues")
    .action(async () => answer(await status(terminal, options())));
  program
    .command("files")
    .description("files in order of path")
    .addOption(new Option("--status <word>", "one status").choices(FILE_STATUSES).argParser(parseStatus))
    .addOption(new Option("--ingestion <id>", "one ingestion"))
    .addOption(new Option("--prefix <path>", "s3://bucket/start-of-key, or the start of a key"))
    .addOption(new Option("--limit <number>", "files at most").argParser(parseLimit).default(100))
    .action(async (query) => answer(await files(terminal, options(), query)));
  program
    .command("file")
    .description("everything that is known of one object")
    .argument("<path>", "s3://bucket/key, not url-encoded")
    .action(async (path: string) => answer(await file(terminal, options(), path)));
  program
    .command("validate")
    .description("checks the configuration and prints every error")
    .argument("[file]", `instead of --config (${DEFAULT_CONFIG})`)
    .action(async (name?: string) => answer(validate(terminal, options(), name)));
  program
    .command("backfill")
    .description(
      "lists an ingestion's files and loads those that no event brought; joins a run of the same, waits for another",
    )
    .argument("<ingestion>", "its id in the configuration")
    .addOption(new Option("--strategy <name>", "instead of the configured one").choices(STRATEGIES))
    .addOption(new Option("--prefix <start>", "only keys that begin so; below the ingestion's prefix"))
    .addOption(new Option("--include <glob...>", "only keys that match, besides the ingestion's own globs"))
    .addOption(new Option("--exclude <glob...>", "no keys that match"))
    .addOption(
      new Option("--modified-from <time>", "LastModified at or after, such as 2026-01-01 or 2026-01-01T12:00Z"),
    )
    .addOption(new Option("--modified-before <time>", "LastModified before"))
    .addOption(new Option("--date-from <date>", "partitions from this date on (partitioned)"))
    .addOption(new Option("--date-to <date>", "partitions up to this date, inclusive (partitioned)"))
    .addOption(new Option("--pattern <text>", "partitions such as year=%Y/month=%m/day=%d (partitioned)"))
    .addOption(
      new Option("--lookback <amount>", "7d (partitioned) or a number of keys (incremental_lexical)").argParser(
        parseLookback,
      ),
    )
    .addOption(new Option("--overlap <duration>", "such as 1h (incremental_time)"))
    .addOption(new Option("--inventory <location>", "one of those configured (inventory)"))
    .addOption(new Option("--size-min <bytes>", "objects of at least this size").argParser(parseCount))
    .addOption(new Option("--size-max <bytes>", "objects of at most this size").argParser(parseCount))
    .addOption(new Option("--concurrency <number>", "S3 requests at once in one function").argParser(parseLimit))
    .addOption(new Option("--dry-run", "count and check, send nothing").default(false))
    .addOption(new Option("--check-all", "ask the ledger about every file, whatever was seen before").default(false))
    .addOption(new Option("--fresh", "start anew instead of taking a failed run up again").default(false))
    .addOption(
      new Option("--watch", "start nothing: watch the run that is under way").conflicts("detach").default(false),
    )
    .addOption(new Option("--detach", "start the run and do not wait for it").default(false))
    .action(async (ingestion: string, request) => answer(await backfill(terminal, options(), ingestion, request)));
  program
    .command("runs")
    .description("listing runs, newest first")
    .addOption(new Option("--ingestion <id>", "one ingestion"))
    .addOption(new Option("--limit <number>", "runs per ingestion at most").argParser(parseLimit).default(20))
    .action(async (query) => answer(await runs(terminal, options(), query)));
  program
    .command("run")
    .description("the report of one listing run, or how far it is")
    .argument("<id>", "as `moraine runs` shows it")
    .action(async (id: string) => answer(await run(terminal, options(), id)));
  program
    .command("checkpoints")
    .description("what listings remember from run to run")
    .argument("[ingestion]", "one ingestion; all unless told")
    .addOption(new Option("--reset", "forget it: the next run starts from nothing").default(false))
    .action(async (ingestion, query) => answer(await checkpoints(terminal, options(), ingestion, query)));
  program
    .command("recommend")
    .description("looks at a prefix and says which discovery strategy fits its files, and why")
    .argument("<path>", "s3://bucket/prefix/")
    .action(async (path: string) => answer(await recommend(terminal, options(), path)));
  addSchemaCommands(program, terminal, options, answer);
  for (const command of program.commands) command.exitOverride().copyInheritedSettings(program);
  return program;
}

const VERDICTS: readonly (readonly [Verdict, string])[] = [
  ["accept", "the files' shape becomes the table's; the old column is kept under another name"],
  ["merge", "both shapes side by side: what does not fit a column goes to one beside it"],
  ["reject", "the files are rejected for good"],
];

function addSchemaCommands(
  program: Command,
  terminal: Terminal,
  options: () => GlobalOptions,
  answer: (outcome: boolean) => void,
): void {
  const schema = program.command("schema").description("files that wait for a decision about their schema");
  schema
    .command("list")
    .description("changes that are open, or being carried out")
    .addOption(new Option("--ingestion <id>", "one ingestion"))
    .addOption(new Option("--all", "decided ones too").default(false))
    .action(async (query) => answer(await schemaList(terminal, options(), query)));
  schema
    .command("show")
    .description("one change: the difference, samples of it, and how much waits")
    .argument("<fingerprint>", "or the start of it")
    .action(async (fingerprint: string) => answer(await schemaShow(terminal, options(), fingerprint)));
  for (const [verdict, description] of VERDICTS) {
    schema
      .command(verdict)
      .description(description)
      .argument("<fingerprint>", "or the start of it")
      .addOption(new Option("--why <text>", "kept with the decision"))
      .addOption(new Option("--by <name>", "who decides; the user of this shell unless told"))
      .action(async (fingerprint: string, given) =>
        answer(await schemaDecide(terminal, options(), fingerprint, { verdict, ...given })),
      );
  }
  schema
    .command("history")
    .description("how the schema came to be what it is")
    .argument("[ingestion]", "one ingestion; all unless told")
    .action(async (ingestion?: string) => answer(await schemaHistory(terminal, options(), ingestion)));
  for (const command of schema.commands) command.exitOverride().copyInheritedSettings(program);
}

function parseStatus(text: string): FileStatus {
  const word = text.toUpperCase() as FileStatus;
  if (!FILE_STATUSES.includes(word)) throw new InvalidArgumentError(`It is one of: ${FILE_STATUSES.join(", ")}.`);
  return word;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError("It is a whole number from 0 up.");
  return count;
}

/** What is wrong with a duration the run itself says. */
function parseLookback(text: string): number | string {
  return /^\d+$/.test(text) ? parseCount(text) : text;
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1) throw new InvalidArgumentError("It is a whole number from 1 up.");
  return limit;
}
