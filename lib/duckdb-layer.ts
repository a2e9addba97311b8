// DuckDB's native binding for Lambda's platform, as a layer. The cloud assembly holds only the command that makes the archive:
// the CDK CLI runs it when it publishes assets. So synth needs no network, and no deployment can ship anything but the
// packages pinned in package-lock.json; the asset's hash is the hash of those pins.

import { Stack } from "aws-cdk-lib";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { layerHash, readPins } from "./duckdb-packages.ts";

export class DuckdbLayer extends Construct {
  readonly layer: lambda.ILayerVersion;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    const pins = readPins();
    const asset = Stack.of(this).synthesizer.addFileAsset({
      executable: ["node", "bin/duckdb-layer.ts"],
      sourceHash: layerHash(pins),
      displayName: "DuckDB layer",
    });
    const version = new lambda.CfnLayerVersion(this, "Version", {
      description: `@duckdb/node-api ${pins["@duckdb/node-api"]?.version ?? ""}`,
      content: { s3Bucket: asset.bucketName, s3Key: asset.objectKey },
      compatibleArchitectures: [lambda.Architecture.ARM_64.name],
      compatibleRuntimes: [lambda.Runtime.NODEJS_24_X.name],
      licenseInfo: "MIT",
    });
    this.layer = lambda.LayerVersion.fromLayerVersionArn(this, "Layer", version.ref);
  }
}
