// The adapters of the deployed functions, pointed at the local stack: what reads it back sees it as AWS would show it.

import { DynamoLedger } from "../lambdas/adapters/dynamodb-ledger.ts";
import { GluePointer } from "../lambdas/adapters/glue-pointer.ts";
import { S3ObjectStore } from "../lambdas/adapters/s3-object-store.ts";
import { createClients } from "../lambdas/adapters/sdk-clients.ts";
import { SystemClock, SystemRandom } from "../lambdas/adapters/system.ts";
import { LEDGER_INDEX } from "../lambdas/core/environment.ts";
import { PointerCatalog } from "../lambdas/core/iceberg/pointer-catalog.ts";
import type { LocalPorts } from "./accounting.ts";
import type { LocalStack } from "./stack.ts";

export function openPorts(stack: LocalStack): LocalPorts {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const place = { endpoint: stack.endpoint, region: stack.region, credentials };
  const clients = createClients({ pathStyle: true, place });
  const store = new S3ObjectStore(clients.s3);
  const tableName = stack.outputs["LedgerTable"] ?? "";
  const ledger = new DynamoLedger({ client: clients.dynamodb, tableName, indexName: LEDGER_INDEX });
  const clock = new SystemClock();
  const pointer = new GluePointer(clients.glue);
  return { store, ledger, catalog: new PointerCatalog({ store, pointer, clock, random: new SystemRandom() }) };
}
