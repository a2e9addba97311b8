// Alerts go to the topic of the stack's alarms: whoever subscribed there is told.

import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import type { Alerts } from "../core/ports.ts";
import { toMoraineError } from "./sdk-errors.ts";

const SUBJECT_MAX = 100;
/** SNS takes 256 KiB. */
const TEXT_MAX = 100_000;

export class SnsAlerts implements Alerts {
  readonly #client = new SNSClient({ maxAttempts: 4 });
  readonly #topicArn: string;

  constructor(topicArn: string) {
    this.#topicArn = topicArn;
  }

  async publish({ subject, text }: { readonly subject: string; readonly text: string }): Promise<void> {
    const ascii = subject.replace(/[^ -~]/g, "?").slice(0, SUBJECT_MAX);
    const request = { TopicArn: this.#topicArn, Subject: ascii, Message: text.slice(0, TEXT_MAX) };
    try {
      await this.#client.send(new PublishCommand(request));
    } catch (error) {
      throw toMoraineError(error, { action: "sns:Publish", effect: "write", facts: { topic: this.#topicArn } });
    }
  }
}
