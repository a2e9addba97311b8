// The rights the functions share, in one place: each list is what the adapters call and nothing else.

import type { Ledger } from "./ledger.ts";
import type { MoraineFunction } from "./moraine-function.ts";
import type { Warehouse } from "./warehouse.ts";

const LEDGER_ACTIONS = [
  "dynamodb:GetItem",
  "dynamodb:BatchGetItem",
  "dynamodb:Query",
  "dynamodb:PutItem",
  "dynamodb:DeleteItem",
];

/** Reads and writes items; never scans, never changes the table itself. */
export function grantLedger(grantee: MoraineFunction, ledger: Ledger): void {
  grantee.allow(LEDGER_ACTIONS, [ledger.table.tableArn]);
  grantee.allow(["dynamodb:Query"], [ledger.indexArn]);
}

/** Commits to the configured tables: writes metadata, moves the catalog's pointer, takes back metadata that lost the race. */
export function grantCommit(grantee: MoraineFunction, warehouse: Warehouse): void {
  grantee.allow(["s3:GetObject", "s3:PutObject"], warehouse.objectArns);
  grantee.allow(["s3:DeleteObject"], warehouse.metadataArns);
  // Without ListBucket S3 answers 403 instead of 404 for an object that is gone.
  grantee.allow(["s3:ListBucket"], warehouse.bucketArns);
  grantee.allow(["glue:GetTable", "glue:UpdateTable"], warehouse.catalogArns);
}
