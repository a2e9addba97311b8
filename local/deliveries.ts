// Brings S3 notifications and schedule firings to their queue, function or state machine, on time, late or twice as the fault plan wants.
// It knows what is still on its way, so that the stack can tell quiet from merely not yet noticed.

import type { Faults } from "./faults.ts";
import type { InvokeOutcome, Lambda } from "./lambda.ts";
import { FUNCTION, findResource, nameOfArn, type Plan } from "./plan.ts";
import type { JsonObject } from "./servers/json-protocol.ts";
import type { LocalSqs } from "./servers/sqs.ts";
import type { LocalStepFunctions } from "./servers/step-functions.ts";

export interface Deliveries {
  deliver(targetArn: string, message: string): void;
  fire(rule: Plan["schedules"][number]): Promise<readonly InvokeOutcome[]>;
  pending(): number;
  /** Sends what is late now. */
  flush(): void;
  /** Everything under way has ended. */
  settled(): Promise<void>;
}

export interface DeliveryOptions {
  readonly plan: Plan;
  readonly lambda: Lambda;
  readonly faults: Faults;
  readonly region: string;
  readonly sqs: LocalSqs;
  readonly stepFunctions: LocalStepFunctions;
}

export function createDeliveries({ plan, lambda, faults, region, sqs, stepFunctions }: DeliveryOptions): Deliveries {
  const underWay = new Set<Promise<unknown>>();
  const late = new Map<NodeJS.Timeout, () => void>();

  function track<T>(work: Promise<T>): Promise<T> {
    // Whoever wants the outcome has the promise itself; a notification nobody waits for must not end the stack by failing.
    const settled: Promise<unknown> = work.catch(() => {}).finally(() => underWay.delete(settled));
    underWay.add(settled);
    return work;
  }

  function send(arn: string, message: string, more: JsonObject = {}): Promise<InvokeOutcome | undefined> {
    if (arn.startsWith("arn:aws:lambda:")) {
      return track(lambda.invoke(findResource(plan.resources, nameOfArn(arn), FUNCTION).id, JSON.parse(message)));
    }
    if (arn.startsWith("arn:aws:states:")) {
      // Only the start is waited for, and an execution under way counts as such by itself.
      return track(Promise.resolve(message).then((input) => void stepFunctions.start(arn, input)));
    }
    const QueueUrl = sqs.urlOf(nameOfArn(arn));
    return track(sqs.call("SendMessage", { QueueUrl, MessageBody: message, ...more }).then(() => undefined));
  }

  return {
    deliver(arn, message) {
      for (const delayMs of faults.event()) {
        const go = () => void send(arn, message).catch(() => {});
        if (delayMs === 0) {
          go();
          continue;
        }
        const timer = setTimeout(() => {
          late.delete(timer);
          go();
        }, delayMs);
        late.set(timer, go);
      }
    },
    async fire(rule) {
      const event = JSON.stringify(scheduledEvent(rule.arn, region));
      const outcomes = rule.targets.map(({ arn, input, messageGroupId }) =>
        send(arn, input ?? event, messageGroupId === undefined ? {} : { MessageGroupId: messageGroupId }),
      );
      return (await Promise.all(outcomes)).filter((outcome) => outcome !== undefined);
    },
    pending: () => underWay.size + late.size,
    flush() {
      for (const [timer, go] of late) {
        clearTimeout(timer);
        go();
      }
      late.clear();
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function scheduledEvent(ruleArn: string, region: string) {
  const time = new Date().toISOString();
  return {
    version: "0",
    id: crypto.randomUUID(),
    "detail-type": "Scheduled Event",
    source: "aws.events",
    account: "000000000000",
    time,
    region,
    resources: [ruleArn],
    detail: {},
  };
}
