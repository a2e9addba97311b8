// Where a distributed map's items come from when not from the state's input: an S3 object (JSON, JSON Lines, CSV) or a listing.
// Whatever goes wrong is States.ItemReaderFailed. All items are held in memory: this is one machine.
// Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html

import type { Json } from "../template.ts";
import { CSV_DELIMITERS, parseCsv } from "./csv.ts";
import type { ItemReader, MapState } from "./definition.ts";
import { Ended, StatesError } from "./failure.ts";
import { evaluateNumber, evaluateStrings, type Visit } from "./visit.ts";

export const GET_OBJECT = "arn:aws:states:::s3:getObject";
export const LIST_OBJECTS = "arn:aws:states:::s3:listObjectsV2";
/** 100,000,000 is also what the service stops at. */
const ITEMS_MAX = 100_000_000;

export async function readItems(visit: Visit<MapState>, reader: ItemReader): Promise<readonly Json[]> {
  const field = "ItemReader/ReaderConfig/MaxItems";
  const max = (await evaluateNumber(visit, reader.ReaderConfig?.MaxItems, field, Number.NEGATIVE_INFINITY)) ?? 0;
  if (max < 0) throw new StatesError("States.ItemReaderFailed", "field MaxItems must be positive");
  const itemsMax = max === 0 ? ITEMS_MAX : max;
  try {
    const items = reader.Resource === LIST_OBJECTS ? await listed(visit, reader, itemsMax) : await got(visit, reader);
    return items.slice(0, itemsMax);
  } catch (error) {
    if (error instanceof Ended || error instanceof StatesError) throw error;
    throw new StatesError("States.ItemReaderFailed", error instanceof Error ? error.message : String(error));
  }
}

async function listed(visit: Visit<MapState>, reader: ItemReader, itemsMax: number): Promise<Json[]> {
  const names = ["Bucket", "Prefix"] as const;
  const { Bucket = "", Prefix = "" } = await evaluateStrings(visit, reader.Arguments, "ItemReader/Arguments", names);
  const { world, cancellation } = visit.scope;
  async function collect(): Promise<Json[]> {
    const items: Json[] = [];
    for await (const object of world.objects.list(Bucket, Prefix)) {
      if (items.length >= itemsMax || cancellation.reason !== undefined) break;
      items.push(object);
    }
    return items;
  }
  return cancellation.race(collect());
}

async function got(visit: Visit<MapState>, reader: ItemReader): Promise<Json[]> {
  const names = ["Bucket", "Key", "VersionId"] as const;
  const where = await evaluateStrings(visit, reader.Arguments, "ItemReader/Arguments", names);
  const { Bucket = "", Key = "", VersionId } = where;
  const { world, cancellation } = visit.scope;
  return itemsOfText(await cancellation.race(world.objects.get(Bucket, Key, VersionId)), reader.ReaderConfig);
}

export function itemsOfText(text: string, config: ItemReader["ReaderConfig"]): Json[] {
  switch (config?.InputType) {
    case "JSON":
      return itemsOfJson(JSON.parse(text) as Json, config.ItemsPointer);
    case "JSONL":
      return text
        .split("\n")
        .filter((line) => line.trim() !== "")
        .map((line) => JSON.parse(line) as Json);
    case "CSV":
      return parseCsv(
        text,
        CSV_DELIMITERS[config.CSVDelimiter ?? "COMMA"] as string,
        config.CSVHeaderLocation === "GIVEN" ? (config.CSVHeaders ?? []) : undefined,
      );
    default:
      throw new Error("the reader's InputType is missing");
  }
}

function itemsOfJson(content: Json, pointer = ""): Json[] {
  const found = pointed(content, pointer);
  if (!Array.isArray(found)) throw new Error("Attempting to map over non-iterable node.");
  return found;
}

/** RFC 6901 */
function pointed(content: Json, pointer: string): Json | undefined {
  let node: Json | undefined = content;
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof node !== "object" || node === null) return undefined;
    node = Array.isArray(node) ? node[Number(name)] : node[name];
  }
  return node;
}
