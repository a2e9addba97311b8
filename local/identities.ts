// What each resource type's Ref and attributes are, and the physical names this stack gives: by template, or from the logical id.

import type { Identity, Json, JsonRecord, TemplateResource } from "./template.ts";

export const ACCOUNT = "000000000000";

export interface Place {
  readonly region: string;
  readonly stackName: string;
  readonly endpoint: string;
}

/** `nameProperty`: where the template may name the resource. */
interface Kind {
  readonly nameProperty?: string;
  arn(name: string, place: Place): string;
  /** Default: the name. */
  ref?(name: string, place: Place): string;
  more?(name: string, place: Place): Record<string, string>;
}

function service(prefix: string, nameProperty?: string, separator = ""): Kind {
  const arn = (name: string, { region }: Place) => {
    const [first = "", kind = ""] = prefix.split(" ");
    return `arn:aws:${first}:${region}:${ACCOUNT}:${kind}${separator}${name}`;
  };
  return nameProperty === undefined ? { arn } : { nameProperty, arn };
}

const table: Kind = {
  ...service("dynamodb table", "TableName", "/"),
  more: () => ({ StreamArn: "", TableId: "local" }),
};
const byArn = (kind: Kind): Kind => ({ ...kind, ref: kind.arn });

const KINDS: Readonly<Record<string, Kind>> = {
  "AWS::S3::Bucket": {
    nameProperty: "BucketName",
    arn: (name) => `arn:aws:s3:::${name}`,
    more: (name) => ({ DomainName: `${name}.s3.amazonaws.com`, RegionalDomainName: `${name}.s3.amazonaws.com` }),
  },
  "AWS::SQS::Queue": {
    ...service("sqs", "QueueName"),
    ref: (name, { endpoint }) => `${endpoint}/${ACCOUNT}/${name}`,
    more: (name, { endpoint }) => ({ QueueName: name, QueueUrl: `${endpoint}/${ACCOUNT}/${name}` }),
  },
  "AWS::DynamoDB::Table": table,
  "AWS::DynamoDB::GlobalTable": table,
  "AWS::Lambda::Function": service("lambda function", "FunctionName", ":"),
  "AWS::Lambda::LayerVersion": byArn(service("lambda layer", "LayerName", ":")),
  "AWS::Events::Rule": service("events rule", "Name", "/"),
  "AWS::Scheduler::Schedule": service("scheduler schedule/default", "Name", "/"),
  "AWS::SNS::Topic": { ...byArn(service("sns", "TopicName")), more: (name) => ({ TopicName: name }) },
  "AWS::StepFunctions::StateMachine": {
    ...byArn(service("states stateMachine", "StateMachineName", ":")),
    more: (name) => ({ Name: name }),
  },
  "AWS::IAM::Role": { nameProperty: "RoleName", arn: (name) => `arn:aws:iam::${ACCOUNT}:role/${name}` },
  "AWS::Logs::LogGroup": service("logs log-group", "LogGroupName", ":"),
  "AWS::Glue::Database": { arn: (name, { region }) => `arn:aws:glue:${region}:${ACCOUNT}:database/${name}` },
};
const OTHER: Kind = { arn: (name, { region }) => `arn:aws:local:${region}:${ACCOUNT}:${name}` };

/** `resolve`: of the property that may hold the name. */
export function identify(
  id: string,
  resource: TemplateResource,
  place: Place,
  resolve: (value: Json) => Json,
): Identity & { name: string } {
  const properties = resource.Properties ?? {};
  const kind = KINDS[resource.Type] ?? OTHER;
  const named =
    resource.Type === "AWS::Glue::Database"
      ? (properties["DatabaseInput"] as JsonRecord)?.["Name"]
      : properties[kind.nameProperty ?? ""];
  const name = named === undefined ? generatedName(id, resource, place) : String(resolve(named));
  if (resource.Type === "AWS::Lambda::Version" || resource.Type === "AWS::Lambda::Alias") {
    // A qualified function is the function: there is one version here.
    const target = String(resolve(properties["FunctionName"] ?? id));
    return { name: target, ref: target, attributes: { Version: "$LATEST", AliasArn: target, FunctionArn: target } };
  }
  const arn = kind.arn(name, place);
  const ref = kind.ref?.(name, place) ?? name;
  return { name, ref, attributes: { Arn: arn, ...kind.more?.(name, place) } };
}

function generatedName(id: string, { Type, Properties }: TemplateResource, { stackName }: Place): string {
  const name = `${stackName}-${id}`;
  if (Type === "AWS::S3::Bucket")
    return name
      .toLowerCase()
      .replace(/[^a-z0-9-]/g, "-")
      .slice(0, 63);
  if (Type === "AWS::Glue::Database") return name.toLowerCase();
  if (Type !== "AWS::SQS::Queue") return name.slice(0, 64);
  return Properties?.["FifoQueue"] === true ? `${name.slice(0, 75)}.fifo` : name.slice(0, 80);
}
