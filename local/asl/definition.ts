// The part of Amazon States Language this interpreter runs: JSONata only. check-definition.ts keeps out everything else, so
// the types here hold for every machine that gets as far as running.
// Source: https://states-language.net/spec.html and https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html

import type { Json, JsonRecord } from "../template.ts";

/** Also what an item processor and a branch are. */
export interface Flow {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
}

export interface Machine extends Flow {
  readonly TimeoutSeconds?: number;
  readonly QueryLanguage?: string;
}

/** How a state, a choice rule or a catcher makes the next state's input and the variables. */
export interface Shaping {
  readonly Output?: Json;
  readonly Assign?: JsonRecord;
}

export interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds?: number;
  readonly MaxAttempts?: number;
  readonly BackoffRate?: number;
  readonly MaxDelaySeconds?: number;
  readonly JitterStrategy?: "NONE" | "FULL";
}

export interface Catcher extends Shaping {
  readonly ErrorEquals: readonly string[];
  readonly Next: string;
}

interface Transition extends Shaping {
  readonly Next?: string;
  readonly End?: boolean;
}

interface Fallible extends Transition {
  readonly Retry?: readonly Retrier[];
  readonly Catch?: readonly Catcher[];
}

export interface TaskState extends Fallible {
  readonly Type: "Task";
  readonly Resource: string;
  readonly Arguments?: Json;
  readonly TimeoutSeconds?: number | string;
}

export interface PassState extends Transition {
  readonly Type: "Pass";
}

export interface ChoiceState extends Shaping {
  readonly Type: "Choice";
  readonly Choices: readonly (Shaping & { readonly Condition: string | boolean; readonly Next: string })[];
  readonly Default?: string;
}

export interface WaitState extends Transition {
  readonly Type: "Wait";
  readonly Seconds?: number | string;
  readonly Timestamp?: string;
}

export interface SucceedState extends Shaping {
  readonly Type: "Succeed";
}

export interface FailState {
  readonly Type: "Fail";
  readonly Error?: string;
  readonly Cause?: string;
}

export interface ParallelState extends Fallible {
  readonly Type: "Parallel";
  readonly Branches: readonly Flow[];
  readonly Arguments?: Json;
}

export interface ItemReader {
  readonly Resource: string;
  readonly Arguments: Json;
  readonly ReaderConfig?: {
    readonly InputType?: "JSON" | "JSONL" | "CSV";
    readonly CSVHeaderLocation?: "FIRST_ROW" | "GIVEN";
    readonly CSVHeaders?: readonly string[];
    readonly CSVDelimiter?: string;
    readonly MaxItems?: number | string;
    readonly ItemsPointer?: string;
  };
}

export interface ItemBatcher {
  readonly MaxItemsPerBatch?: number | string;
  readonly MaxInputBytesPerBatch?: number | string;
  readonly BatchInput?: Json;
}

export interface ResultWriter {
  readonly Resource: string;
  readonly Arguments: Json;
  readonly WriterConfig?: {
    readonly OutputType?: "JSON" | "JSONL";
    readonly Transformation?: "NONE" | "COMPACT" | "FLATTEN";
  };
}

export interface MapState extends Fallible {
  readonly Type: "Map";
  readonly ItemProcessor: Flow & {
    readonly ProcessorConfig?: { readonly Mode?: "INLINE" | "DISTRIBUTED"; readonly ExecutionType?: string };
  };
  readonly Items?: Json;
  readonly ItemSelector?: Json;
  readonly MaxConcurrency?: number | string;
  readonly ItemReader?: ItemReader;
  readonly ItemBatcher?: ItemBatcher;
  readonly ResultWriter?: ResultWriter;
  readonly ToleratedFailurePercentage?: number | string;
  readonly ToleratedFailureCount?: number | string;
  readonly Label?: string;
}

export type State =
  | TaskState
  | PassState
  | ChoiceState
  | WaitState
  | SucceedState
  | FailState
  | ParallelState
  | MapState;
