// The state machine of a run, in JSONata:
//
//   Begin -> Plan -> ListShards (Distributed Map) -> Gather -> ListShards … | Finish       a plan without shards: Finish at once
//     ├ busy: Wait, and Begin again                         any error after Begin: GiveUp, which frees the ingestion
//     └ joined: the run that was waited for listed the same, and succeeded
//
// Every step is the discover function with another `op` (lambdas/discover/handler.ts). Listing functions that die are retried;
// what they still leave undone, Gather puts into the next round, so the map tolerates every failure.

import { ArnFormat, Duration, Fn, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import * as tasks from "aws-cdk-lib/aws-stepfunctions-tasks";
import type { Construct } from "constructs";
import { LIMITS } from "../lambdas/core/environment.ts";
import { acknowledge, acknowledgeWildcard } from "./checks.ts";

const RUN = "{% $run %}";
const ROUND = "{% $round %}";
const RESULT = "{% $states.result.Payload %}";
/** Config or input must change first: trying again helps nobody. */
const FINAL_ERRORS = ["Moraine.Invalid", "Moraine.Corrupt"];

/** A turn is nine events of the 25,000 that an execution may have: some 45 hours (docs/decisions/0011). */
const BUSY_WAIT = Duration.seconds(60);

export interface BackfillMachineProps {
  readonly code: lambda.IFunction;
  /** Where the items of rounds lie, and the ARN pattern of their keys. */
  readonly bucketName: string;
  readonly roundsArn: string;
}

export function backfillMachine(
  scope: Construct,
  id: string,
  { code, bucketName, roundsArn }: BackfillMachineProps,
): sfn.StateMachine {
  const step = (name: string, payload: Record<string, unknown>, options: StepOptions = {}) =>
    withRetries(
      tasks.LambdaInvoke.jsonata(scope, name, {
        lambdaFunction: code,
        payload: sfn.TaskInput.fromObject(payload),
        outputs: RESULT,
        taskTimeout: sfn.Timeout.duration(Duration.seconds(LIMITS.discoverTimeoutSeconds + 60)),
        retryOnServiceExceptions: false,
        ...options,
      }),
    );

  const execution = { name: "{% $states.context.Execution.Name %}", arn: "{% $states.context.Execution.Id %}" };
  const begin = step(
    "Begin",
    // After waiting the state's own input is what the last Begin answered.
    { op: "begin", input: "{% $states.context.Execution.Input %}", before: "{% $states.input %}", execution },
    { assign: { run: "{% $states.result.Payload.run %}", functionsMax: "{% $states.result.Payload.functionsMax %}" } },
  );
  const plan = step("Plan", { op: "plan", run: RUN }, { assign: { round: RESULT } });
  // A child execution sees its item and no variables; its result lies in the shard's checkpoint.
  const listOne = { op: "list", run: "{% $states.input.run %}", task: "{% $states.input.task %}" };
  const list = listShards(scope, bucketName, step("ListShard", listOne, { outputs: {} }));
  const gather = step(
    "Gather",
    { op: "gather", run: RUN, round: ROUND },
    { assign: { round: "{% $states.result.Payload.round %}" } },
  );
  const finish = step("Finish", { op: "finish", run: RUN });
  const giveUp = step(
    "GiveUp",
    { op: "fail", run: RUN, error: "{% $states.input %}" },
    { outputs: "{% $states.input %}" },
  );
  const failed = sfn.Fail.jsonata(scope, "Failed", {
    error: "{% $states.input.Error %}",
    cause: "{% $states.input.Cause %}",
  });

  const caught = { errors: [sfn.Errors.ALL], outputs: "{% $states.errorOutput %}" };
  for (const state of [begin, giveUp]) state.addCatch(failed, caught);
  for (const state of [plan, list, gather, finish]) state.addCatch(giveUp, caught);
  giveUp.next(failed);

  const isKind = (kind: string) => sfn.Condition.jsonata(`{% $states.input.kind = "${kind}" %}`);
  const more = sfn.Choice.jsonata(scope, "MoreToList").when(isKind("more"), list).otherwise(finish);
  const anything = sfn.Choice.jsonata(scope, "AnythingToList")
    .when(sfn.Condition.jsonata("{% $round.shards = 0 %}"), finish)
    .otherwise(list.next(gather).next(more));
  const wait = sfn.Wait.jsonata(scope, "WaitForOther", { time: sfn.WaitTime.duration(BUSY_WAIT) });
  const underWay = sfn.Choice.jsonata(scope, "AlreadyUnderWay")
    .when(isKind("joined"), sfn.Succeed.jsonata(scope, "Joined"))
    .when(isKind("busy"), wait.next(begin))
    .otherwise(plan.next(anything));
  const made = machine(scope, id, begin.next(underWay));
  acknowledgeOwnRights(made, code);
  made.addToRolePolicy(new iam.PolicyStatement({ actions: ["s3:GetObject"], resources: [roundsArn] }));
  acknowledgeWildcard(made, roundsArn, "the items of each run's rounds");
  return made;
}

interface StepOptions {
  readonly assign?: Record<string, string>;
  readonly outputs?: unknown;
}

/** A round's items are one JSON array in the warehouse. */
function listShards(scope: Construct, bucketName: string, listShard: tasks.LambdaInvoke): sfn.DistributedMap {
  const map = sfn.DistributedMap.jsonata(scope, "ListShards", {
    // By name and not by bucket: CDK would open all of the bucket to the machine.
    itemReader: new sfn.S3JsonItemReader({ bucketNamePath: bucketName, key: "{% $round.key %}" }),
    itemSelector: { run: RUN, task: "{% $states.context.Map.Item.Value %}" },
    jsonataMaxConcurrency: "{% $functionsMax %}",
    toleratedFailurePercentage: 100,
    outputs: {},
  });
  map.addRetry({ errors: ["States.ItemReaderFailed"], interval: Duration.seconds(2), maxAttempts: 3, backoffRate: 2 });
  return map.itemProcessor(listShard);
}

function withRetries(task: tasks.LambdaInvoke): tasks.LambdaInvoke {
  task.addRetry({ errors: FINAL_ERRORS, maxAttempts: 0 });
  task.addRetry({
    errors: [sfn.Errors.ALL],
    interval: Duration.seconds(2),
    maxAttempts: 5,
    backoffRate: 2,
    maxDelay: Duration.minutes(1),
    jitterStrategy: sfn.JitterType.FULL,
  });
  return task;
}

function machine(scope: Construct, id: string, start: sfn.IChainable): sfn.StateMachine {
  const made = new sfn.StateMachine(scope, id, {
    definitionBody: sfn.DefinitionBody.fromChainable(start),
    queryLanguage: sfn.QueryLanguage.JSONATA,
    comment: "Moraine: lists an ingestion's files and sends those the ledger does not know. Input: docs/backfill.md",
    logs: {
      level: sfn.LogLevel.ALL,
      includeExecutionData: false,
      destination: new logs.LogGroup(scope, `${id}Logs`, {
        retention: logs.RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    },
  });
  const untraced = "a run's item in the ledger records each step's times; traces would add cost, not facts";
  acknowledge(made, {
    "AwsSolutions-SF2": untraced,
    "Serverless-StepFunctionStateMachineXray": untraced,
    "AwsSolutions-IAM5[Resource::*]": "log deliveries have no resource to name",
  });
  return made;
}

/** What CDK gives the machine's role by itself, each with its reason. */
function acknowledgeOwnRights(made: sfn.StateMachine, code: lambda.IFunction): void {
  acknowledgeWildcard(made, `${code.functionArn}:*`, "versions of the one function it calls");
  const name = Fn.select(6, Fn.split(":", made.stateMachineArn));
  for (const pattern of [`${name}:*`, `${name}/*:*`]) {
    const arn = Stack.of(made).formatArn({
      service: "states",
      resource: "execution",
      resourceName: pattern,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    acknowledgeWildcard(made, arn, "child executions of its own map: their names are not known when the stack is made");
  }
}
