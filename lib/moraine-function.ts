// What the functions share: runtime, role, log group, environment. A role starts with nothing but its own log group;
// each construct adds exactly what its handler calls.

import { Duration, RemovalPolicy, Size, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { VpcConfig } from "../lambdas/core/config.ts";
import { METRIC_NAMESPACE } from "../lambdas/core/environment.ts";
import { acknowledge, acknowledgeWildcard } from "./checks.ts";

export interface MoraineFunctionProps {
  readonly bundle: string;
  readonly description: string;
  readonly memoryMb: number;
  readonly timeoutSeconds: number;
  readonly diskMb?: number;
  readonly layer?: lambda.ILayerVersion;
  readonly environment: Readonly<Record<string, string>>;
}

export class MoraineFunction extends Construct {
  readonly function: lambda.Function;

  constructor(scope: Construct, id: string, props: MoraineFunctionProps) {
    super(scope, id);
    const logGroup = new logs.LogGroup(this, "Logs", {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(this, "Role", { assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com") });
    logGroup.grantWrite(role);
    this.function = new lambda.Function(this, "Function", {
      description: props.description,
      code: lambda.Code.fromAsset(props.bundle),
      handler: "index.handler",
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      memorySize: props.memoryMb,
      timeout: Duration.seconds(props.timeoutSeconds),
      role,
      logGroup,
      loggingFormat: lambda.LoggingFormat.JSON,
      environment: {
        NODE_OPTIONS: "--enable-source-maps",
        POWERTOOLS_SERVICE_NAME: Stack.of(this).stackName,
        POWERTOOLS_METRICS_NAMESPACE: METRIC_NAMESPACE,
        POWERTOOLS_LOG_LEVEL: "INFO",
        ...props.environment,
      },
      ...(props.diskMb === undefined ? {} : { ephemeralStorageSize: Size.mebibytes(props.diskMb) }),
      ...(props.layer === undefined ? {} : { layers: [props.layer] }),
    });
    acknowledge(this, {
      "Serverless-LambdaDLQ":
        "never invoked asynchronously with an event that could be lost: sqs keeps it, or the schedule repeats it",
      "Serverless-LambdaEventSourceMappingDestination": "the source queue has a dead-letter queue",
      "Serverless-LambdaTracing":
        "one hop per file, and the ledger records each file's times; traces would add cost, not facts",
    });
  }

  /** From here on the function reaches what its subnets reach, and no service of AWS but through their routes and endpoints. */
  enterVpc({ subnetIds, securityGroupIds }: VpcConfig): void {
    const code = this.function.node.defaultChild as lambda.CfnFunction;
    // Not by way of ec2.Vpc: it asks for the VPC's id and zones, which two lists of ids make superfluous.
    code.vpcConfig = { subnetIds: [...subnetIds], securityGroupIds: [...securityGroupIds] };
    this.function.addToRolePolicy(new iam.PolicyStatement({ actions: VPC_ACTIONS, resources: ["*"] }));
    acknowledgeWildcard(
      this,
      "*",
      "network interfaces of a function in a VPC: lambda makes them, and takes no narrower right",
    );
  }

  allow(actions: readonly string[], resources: readonly string[]): void {
    if (resources.length === 0) return;
    this.function.addToRolePolicy(new iam.PolicyStatement({ actions: [...actions], resources: [...resources] }));
    for (const resource of resources.filter((arn) => arn.includes("*"))) {
      acknowledgeWildcard(this, resource, "keys below a prefix: an object's name is not known when the stack is made");
    }
  }
}

/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions */
const VPC_ACTIONS = [
  "ec2:CreateNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:DeleteNetworkInterface",
  "ec2:AssignPrivateIpAddresses",
  "ec2:UnassignPrivateIpAddresses",
];
