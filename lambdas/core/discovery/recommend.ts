// "How are your files organised?", answered by looking: the listing that fits a bucket, why, and the lines for moraine.yaml.
// The advice is events for speed and listings for proof: the cheapest one often, a wider one now and then.

import { type Layout, layoutOf } from "./layout.ts";
import type { Strategy } from "./model.ts";
import type { Sample } from "./sample.ts";

export interface Recommendation {
  /** The listing that fits; `yaml` reconciles events with it. */
  readonly strategy: Strategy;
  readonly why: readonly string[];
  /** A `discovery:` section, valid in moraine.yaml. */
  readonly yaml: string;
}

interface Choice {
  readonly strategy: Strategy;
  readonly why: readonly string[];
  /** Options of the listing, as YAML's flow text. */
  readonly options: string;
  readonly every: string;
  /** A wider listing that finds what this one cannot see. */
  readonly wider?: string;
}

const FEW_FILES = 10_000;
const MANY_FILES = 50_000_000;
const FOLLOWS_TIME = 0.98;
const DATED_SHARE = 0.9;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LIST_DOLLARS = 0.005 / 1000;

export function recommend(sample: Sample): Recommendation {
  const layout = layoutOf(sample);
  const choice = choose(sample, layout);
  const listing = `{ strategy: ${choice.strategy}, ${choice.options}every: ${choice.every} }`;
  return {
    strategy: choice.strategy,
    why: [sizeOf(layout), ...choice.why, ...remarks(layout, choice), lookedAt(sample)],
    yaml: [
      "discovery:",
      "  strategy: event_driven",
      "  reconcile:",
      `    - ${listing}`,
      ...(choice.wider === undefined ? [] : [`    - ${choice.wider}`]),
      "",
    ].join("\n"),
  };
}

function choose(sample: Sample, layout: Layout): Choice {
  if (layout.files <= FEW_FILES) {
    return {
      strategy: "full",
      options: "",
      every: "1h",
      why: ["so few files are listed whole with a request or ten, and nothing can be overlooked that way"],
    };
  }
  if (layout.dates !== undefined && layout.dates.share >= DATED_SHARE) return byPartition(layout, layout.dates);
  if (layout.keysFollowTime !== undefined && layout.keysFollowTime >= FOLLOWS_TIME) {
    return {
      strategy: "incremental_lexical",
      options: "lookback: 1000, ",
      every: "15m",
      wider: widest(sample, layout),
      why: [
        `later keys are later files (rank correlation ${layout.keysFollowTime.toFixed(2)}): listing behind the last key finds what is new in a request or two`,
      ],
    };
  }
  return byNothing(sample, layout);
}

function byPartition(layout: Layout, dates: NonNullable<Layout["dates"]>): Choice {
  const days = Math.max(2, Math.ceil(dates.lagMs / DAY_MS) + 1);
  const lookback = Math.min(days, 60);
  return {
    strategy: "partitioned",
    options: `pattern: ${quoted(dates.pattern.text)}, lookback: ${lookback}d, `,
    every: dates.pattern.unit === "hour" || dates.pattern.unit === "day" ? "1h" : "1d",
    wider: "{ strategy: full, every: 7d }",
    why: [
      `folders are dates: ${percent(dates.share)} of the files looked at lie below ${dates.pattern.text}`,
      `99 of 100 were written within ${durationOf(dates.lagMs)} of their partition's start, hence a look-back of ${lookback} days; ` +
        `${layout.exact ? "" : "about "}${count(layout.files)} files need not be listed to find the new ones`,
    ],
  };
}

/** Neither dates nor order tell where new files are. */
function byNothing(sample: Sample, layout: Layout): Choice {
  const order =
    layout.keysFollowTime === undefined
      ? "the files' dates do not tell whether keys grow with time (a copied bucket has one date)"
      : `keys do not grow with time (rank correlation ${layout.keysFollowTime.toFixed(2)})`;
  const dated =
    layout.dates === undefined
      ? []
      : [
          `only ${percent(layout.dates.share)} of the files looked at lie below ${layout.dates.pattern.text}: an ingestion with a longer prefix could be listed by partition`,
        ];
  if (layout.files > MANY_FILES) {
    return {
      strategy: "inventory",
      options: `location: ${quoted(inventoryOf(sample))}, `,
      every: "1d",
      why: [
        order,
        ...dated,
        "so many files are cheaper read from a daily S3 Inventory than listed; create one with Size, Last modified and ETag, and write its location",
      ],
    };
  }
  return {
    strategy: "incremental_time",
    options: "lookback: 1h, ",
    every: "6h",
    wider: "{ strategy: full, every: 7d }",
    why: [
      order,
      ...dated,
      "a listing sees every key, the ledger is asked about files that no earlier run has confirmed, and new files with old dates are reported",
    ],
  };
}

function widest(sample: Sample, layout: Layout): string {
  return layout.files > MANY_FILES
    ? `{ strategy: inventory, location: ${quoted(inventoryOf(sample))}, every: 1d }`
    : "{ strategy: full, every: 7d }";
}

/** Folders have what names they like; JSON's text is YAML's, too. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function inventoryOf(sample: Sample): string {
  return `s3://my-inventories/${sample.bucket}/all`;
}

function remarks(layout: Layout, choice: Choice): readonly string[] {
  const { dates, files, recentShare, meanBytes } = layout;
  const skewed = dates !== undefined && dates.skew >= 10;
  return [
    `a full listing is ${count(Math.ceil(files / 1000))} requests, $${(Math.ceil(files / 1000) * LIST_DOLLARS).toFixed(4)}`,
    ...(recentShare > 0.5 && choice.strategy !== "full"
      ? ["more than half of what was looked at is of the last day"]
      : []),
    ...(skewed
      ? [
          `partitions differ: the largest has ${Math.round(dates.skew)} times the files of the middle one; listing splits large ones by itself`,
        ]
      : []),
    ...(meanBytes < 100_000 && files > FEW_FILES
      ? [
          `files are small (${Math.round(meanBytes / 1000)} KB in the mean): fewer, larger ones would cost less everywhere`,
        ]
      : []),
    `events bring a file within seconds; the listing finds what no event brought. Without events: strategy: ${choice.strategy}, with the same options and every: 15m`,
  ];
}

function sizeOf({ files, exact }: Layout): string {
  return exact ? `${count(files)} files` : `about ${count(files)} files (an estimate from a sample)`;
}

function lookedAt({ requests, pages }: Sample): string {
  const objects = pages.reduce((sum, page) => sum + page.objects.length, 0);
  return `judged by ${requests} requests that saw ${count(objects)} files`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function durationOf(ms: number): string {
  return ms < 2 * DAY_MS ? `${Math.ceil(ms / HOUR_MS)} hours` : `${Math.ceil(ms / DAY_MS)} days`;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}
