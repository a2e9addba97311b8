// The CDK app: moraine.yaml in, one stack out. Needs no account and no network at synth; a wrong moraine.yaml ends it with
// every error on its own line. `-c config=<file>` names another file, `-c stackName=<name>` another stack.

import { App } from "aws-cdk-lib";
import { bundleHandlers } from "../lib/bundle.ts";
import { checkRules } from "../lib/checks.ts";
import { loadConfigFile } from "../lib/load-config-file.ts";
import { MoraineStack } from "../lib/moraine-stack.ts";

const app = new App();
const file = String(app.node.tryGetContext("config") ?? "moraine.yaml");
const loaded = loadConfigFile(file);

if (loaded.errors !== undefined) {
  process.stderr.write(`${loaded.errors.join("\n")}\n`);
  process.exitCode = 1;
} else {
  const bundles = await bundleHandlers(loaded.config);
  const stackName = String(app.node.tryGetContext("stackName") ?? "Moraine");
  new MoraineStack(app, stackName, { config: loaded.config, bundles });
  checkRules(app);
  app.synth();
}
