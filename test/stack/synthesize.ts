// Synthesizes a stack in this process, with the feature flags of cdk.json, and gives tests a typed view of its template.
// The rules that fail a synth are left out here, for they take longer than all the rest: test/synth runs them, once.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { parseConfig } from "../../lambdas/core/config-file.ts";
import { type Bundles, bundleHandlers } from "../../lib/bundle.ts";
import { MoraineStack } from "../../lib/moraine-stack.ts";

export const ROOT = join(import.meta.dirname, "../..");

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export interface Resource {
  readonly Type: string;
  readonly Properties: { readonly [name: string]: Json };
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

export interface Synthesized {
  readonly app: App;
  readonly stack: MoraineStack;
  readonly template: Template;
  /** The cloud assembly's folder; gone when the process ends. */
  readonly folder: string;
  /** Resources of one type, by logical id. */
  resources(type: string): readonly (readonly [string, Resource])[];
}

const folders: string[] = [];
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** CDK's own rules take seconds to load. */
process.env["CDK_VALIDATION"] = "false";

/** Of the first configuration: no template depends on what is in them, and they take longer than all the rest. */
let bundles: Promise<Bundles> | undefined;

export async function synthesize(yaml: string = readExample("moraine.yaml")): Promise<Synthesized> {
  const { config, errors } = parseConfig(yaml, "test.yaml");
  if (config === undefined) throw new Error(errors.join("\n"));
  const folder = mkdtempSync(join(tmpdir(), "moraine-stack-"));
  folders.push(folder);
  const app = new App({ outdir: folder, context: flags() });
  bundles ??= bundleHandlers(config);
  const stack = new MoraineStack(app, "Moraine", { config, bundles: await bundles });
  app.synth();
  const template = Template.fromStack(stack);
  const resources = (type: string) => Object.entries(template.findResources(type) as Record<string, Resource>);
  return { app, stack, template, folder, resources };
}

export function readExample(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

export function flags(): Record<string, unknown> {
  return (JSON.parse(readFileSync(join(ROOT, "cdk.json"), "utf8")) as { context: Record<string, unknown> }).context;
}

/** The resource of a type with this logical id (without CDK's hash), or else the only one whose id starts so. */
export function only(synthesized: Synthesized, type: string, idStart: string): Resource {
  const found = synthesized.resources(type).filter(([id]) => id.startsWith(idStart));
  const exact = found.filter(([id]) => id.replace(/[0-9A-F]{8}$/, "") === idStart);
  const [first, second] = exact.length > 0 ? exact : found;
  if (first === undefined || second !== undefined)
    throw new Error(`expected one ${type} ${idStart}, found ${found.length}`);
  return first[1];
}

export function numberOf(resource: Resource, property: string): number {
  const value = resource.Properties[property];
  if (typeof value !== "number") throw new Error(`${property} is no number`);
  return value;
}
