// The rights the functions share, in one place: each list is what the adapters call and nothing else.

import type { Ledger } from "./ledger.ts";
import type { MoraineFunction } from "./moraine-function.ts";
import type { Warehouse } from "./warehouse.ts";

/** Reads and writes items; never scans, never changes the table itself, never reads the index (it serves people). */
export function grantLedger(grantee: MoraineFunction, ledger: Ledger): void {
  const reads = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"];
  grantee.allow([...reads, "dynamodb:PutItem", "dynamodb:DeleteItem"], [ledger.table.tableArn]);
}

/** Reads the configured tables. Without ListBucket S3 answers 403 instead of 404 for an object that is gone. */
export function grantReadTables(grantee: MoraineFunction, warehouse: Warehouse): void {
  grantee.allow(["glue:GetTable"], warehouse.catalogArns);
  grantee.allow(["s3:GetObject"], warehouse.objectArns);
  grantee.allow(["s3:ListBucket"], warehouse.bucketArns);
}

/** Writes files of tables, moves the catalog's pointer, and takes back metadata that lost the race. */
export function grantCommit(grantee: MoraineFunction, warehouse: Warehouse): void {
  grantReadTables(grantee, warehouse);
  grantee.allow(["glue:UpdateTable"], warehouse.catalogArns);
  grantee.allow(["s3:PutObject", "s3:AbortMultipartUpload"], warehouse.objectArns);
  grantee.allow(["s3:DeleteObject"], warehouse.metadataArns);
}
