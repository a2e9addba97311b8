// The ledger: one DynamoDB table that remembers every file, batch and commit. It is kept when the stack goes: without it the
// tables stay readable, but what was loaded could be loaded again.

import { RemovalPolicy } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import { Construct } from "constructs";
import { LEDGER_INDEX } from "../lambdas/core/environment.ts";

export class Ledger extends Construct {
  readonly table: dynamodb.Table;
  /**
   * The table's own generated name: as long-lived as what the ledger remembers, and of no other ledger. A stack made again
   * has a new ledger, so it must not carry the old commit sequence on; a name derived from the stack's would.
   */
  readonly ledgerId: string;
  readonly indexArn: string;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const { STRING } = dynamodb.AttributeType;
    this.table = new dynamodb.Table(this, "Table", {
      partitionKey: { name: "partition", type: STRING },
      sortKey: { name: "sort", type: STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: "expiresAt",
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.table.addGlobalSecondaryIndex({
      indexName: LEDGER_INDEX,
      partitionKey: { name: "indexPartition", type: STRING },
      sortKey: { name: "indexSort", type: STRING },
    });
    this.ledgerId = this.table.tableName;
    this.indexArn = `${this.table.tableArn}/index/${LEDGER_INDEX}`;
  }
}
