// Results of a distributed map: files in S3 under the map run's id, or, without a writer, the state's own output.
// Invariant: every child is in exactly one file; manifest.json is written last, so whoever finds it finds all of them.
// A file holds at most 5 GB in AWS; here one per status is always enough.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html

import type { Json, JsonRecord } from "../template.ts";
import type { MapState, ResultWriter } from "./definition.ts";
import type { Execution } from "./execution.ts";
import { Ended, StatesError } from "./failure.ts";
import type { MapRun } from "./map-run.ts";
import { evaluateStrings, type Visit } from "./visit.ts";

export const PUT_OBJECT = "arn:aws:states:::s3:putObject";

type ResultStatus = "SUCCEEDED" | "FAILED" | "PENDING";

export async function writeResults(visit: Visit<MapState>, mapRun: MapRun, writer: ResultWriter): Promise<Json> {
  const names = ["Bucket", "Prefix"] as const;
  const where = await evaluateStrings(visit, writer.Arguments, "ResultWriter/Arguments", names);
  const { Bucket = "", Prefix = "" } = where;
  const { world, cancellation } = visit.scope;
  const folder = [Prefix.replace(/\/$/, ""), mapRun.facts.arn.split(":").at(-1)]
    .filter((part) => part !== "")
    .join("/");
  const put = (name: string, body: string) => cancellation.race(world.objects.put(Bucket, `${folder}/${name}`, body));
  try {
    const ResultFiles = await writeFiles(mapRun, writer, put, folder);
    const manifest = { DestinationBucket: Bucket, MapRunArn: mapRun.facts.arn, ResultFiles };
    await put("manifest.json", JSON.stringify(manifest));
  } catch (error) {
    if (error instanceof Ended || error instanceof StatesError) throw error;
    throw new StatesError("States.ResultWriterFailed", error instanceof Error ? error.message : String(error));
  }
  return { MapRunArn: mapRun.facts.arn, ResultWriterDetails: { Bucket, Key: `${folder}/manifest.json` } };
}

type ResultFile = { readonly Key: string; readonly Size: number };

async function writeFiles(
  mapRun: MapRun,
  { WriterConfig = {} }: ResultWriter,
  put: (name: string, body: string) => Promise<void>,
  folder: string,
): Promise<Record<ResultStatus, readonly ResultFile[]>> {
  const files: Record<ResultStatus, ResultFile[]> = { FAILED: [], PENDING: [], SUCCEEDED: [] };
  for (const [status, results] of byStatus(mapRun, WriterConfig.Transformation ?? "NONE")) {
    if (results.length === 0) continue;
    const isLines = WriterConfig.OutputType === "JSONL";
    const body = isLines ? results.map((each) => `${JSON.stringify(each)}\n`).join("") : JSON.stringify(results);
    const name = `${status}_0.${isLines ? "jsonl" : "json"}`;
    await put(name, body);
    files[status].push({ Key: `${folder}/${name}`, Size: Buffer.byteLength(body) });
  }
  return files;
}

function byStatus(mapRun: MapRun, transformation: "NONE" | "COMPACT" | "FLATTEN"): Map<ResultStatus, Json[]> {
  const results = new Map<ResultStatus, Json[]>([
    ["SUCCEEDED", []],
    ["FAILED", []],
    ["PENDING", []],
  ]);
  for (const [n, { input }] of mapRun.inputs.entries()) {
    const child = mapRun.children[n];
    // What was ended because others failed has no result of its own: it could be run again.
    const status = child === undefined || child.status === "ABORTED" ? "PENDING" : child.status;
    if (status === "SUCCEEDED") results.get(status)?.push(...transformed(child as Execution, transformation));
    else if (status === "PENDING") results.get(status)?.push(child === undefined ? pendingOf(input) : describe(child));
    else results.get("FAILED")?.push(describe(child as Execution));
  }
  return results;
}

function transformed(child: Execution, transformation: "NONE" | "COMPACT" | "FLATTEN"): readonly Json[] {
  if (transformation === "NONE") return [describe(child)];
  const output = child.output ?? null;
  return transformation === "FLATTEN" && Array.isArray(output) ? output : [output];
}

/** The outputs in order; where a child failed, its description. */
export function outputOf(mapRun: MapRun): Json[] {
  return mapRun.children.flatMap((child) => {
    if (child === undefined) return [];
    return [child.status === "SUCCEEDED" ? (child.output ?? null) : describe(child)];
  });
}

function pendingOf(input: Json): JsonRecord {
  return { Input: JSON.stringify(input), InputDetails: { Included: true }, Status: "PENDING" };
}

function describe({ facts, status, startMs, stopMs, output, error, cause }: Execution): JsonRecord {
  const isDone = status === "SUCCEEDED";
  return {
    ExecutionArn: facts.arn,
    Input: JSON.stringify(facts.input),
    InputDetails: { Included: true },
    Name: facts.name,
    ...(isDone ? { Output: JSON.stringify(output), OutputDetails: { Included: true } } : {}),
    ...(error === undefined ? {} : { Error: error }),
    ...(cause === undefined ? {} : { Cause: cause }),
    RedriveCount: 0,
    RedriveStatus: isDone ? "NOT_REDRIVABLE" : "REDRIVABLE",
    ...(isDone ? { RedriveStatusReason: "Execution is SUCCEEDED and cannot be redriven" } : {}),
    StartDate: new Date(startMs).toISOString(),
    StateMachineArn: facts.machine.arn,
    Status: status,
    ...(stopMs === undefined ? {} : { StopDate: new Date(stopMs).toISOString() }),
  };
}
