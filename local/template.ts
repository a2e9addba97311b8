// Reads a CDK cloud assembly (cdk.out) and resolves the intrinsic functions of its CloudFormation templates.
// Physical names and ARNs are functions of the logical id alone, so nothing need be created before anything is resolved,
// and a restart finds the resources of the last run again.

import { existsSync, readFileSync } from "node:fs";
import { join, resolve as resolvePath } from "node:path";

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type JsonRecord = { [name: string]: Json };

export interface TemplateResource {
  readonly Type: string;
  readonly Properties?: JsonRecord;
  readonly Metadata?: JsonRecord;
  readonly Condition?: string;
}

export interface Template {
  readonly Resources?: Readonly<Record<string, TemplateResource>>;
  readonly Outputs?: Readonly<Record<string, { readonly Value: Json; readonly Export?: { readonly Name: Json } }>>;
  readonly Parameters?: Readonly<Record<string, { readonly Default?: Json }>>;
  readonly Conditions?: Readonly<Record<string, Json>>;
  readonly Mappings?: JsonRecord;
}

export interface AssemblyStack {
  readonly name: string;
  readonly template: Template;
  /** S3 key in the bootstrap bucket to the file or folder it is made from. */
  readonly assets: ReadonlyMap<string, string>;
}

interface Manifest {
  readonly artifacts?: Readonly<
    Record<
      string,
      {
        readonly type: string;
        readonly properties?: {
          readonly templateFile?: string;
          readonly directoryName?: string;
          readonly stackName?: string;
        };
      }
    >
  >;
}
interface AssetManifest {
  readonly files?: Readonly<
    Record<
      string,
      {
        readonly source: { readonly path?: string };
        readonly destinations: Readonly<Record<string, { readonly objectKey: string }>>;
      }
    >
  >;
}

/** All stacks of the assembly, those of stages included. */
export function readAssembly(folder: string): readonly AssemblyStack[] {
  const file = join(folder, "manifest.json");
  if (!existsSync(file)) throw new Error(`not a cloud assembly, run "cdk synth" first folder=${folder}`);
  const { artifacts = {} } = readJson<Manifest>(file);
  const assets = new Map<string, string>();
  const stacks: AssemblyStack[] = [];
  for (const [id, { type, properties }] of Object.entries(artifacts)) {
    if (type === "cdk:cloud-assembly") stacks.push(...readAssembly(join(folder, properties?.directoryName ?? id)));
    if (type === "cdk:asset-manifest")
      readAssets(folder, join(folder, String((properties as JsonRecord | undefined)?.["file"])), assets);
    if (type !== "aws:cloudformation:stack" || properties?.templateFile === undefined) continue;
    const template = readJson<Template>(join(folder, properties.templateFile));
    stacks.push({ name: properties.stackName ?? id, template, assets });
  }
  return stacks;
}

function readAssets(folder: string, file: string, assets: Map<string, string>): void {
  for (const { source, destinations } of Object.values(readJson<AssetManifest>(file).files ?? {})) {
    for (const { objectKey } of Object.values(destinations)) {
      if (source.path !== undefined) assets.set(objectKey, resolvePath(folder, source.path));
    }
  }
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, "utf8")) as T;
}

// ---- intrinsic functions -------------------------------------------------------------------------------------------

export interface Identity {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Scope {
  readonly template: Template;
  /** AWS::Region and the like. */
  readonly pseudo: Readonly<Record<string, string>>;
  identity(logicalId: string): Identity | undefined;
  importValue(name: string): Json;
}

/** The one Ref that means "leave this property out". */
const NO_VALUE = Symbol("AWS::NoValue");
type Resolved = Json | typeof NO_VALUE;

export function resolveValue(value: Json, scope: Scope): Json {
  const resolved = resolveAny(value, scope);
  return resolved === NO_VALUE ? null : resolved;
}

function resolveAny(value: Json, scope: Scope): Resolved {
  if (Array.isArray(value)) return value.map((each) => resolveAny(each, scope)).filter((each) => each !== NO_VALUE);
  if (typeof value !== "object" || value === null) return value;
  const [name = "", ...others] = Object.keys(value);
  const intrinsic = others.length === 0 ? INTRINSICS[name] : undefined;
  if (intrinsic !== undefined) return intrinsic(value[name] as Json, scope);
  if (name.startsWith("Fn::"))
    throw new Error(`the template uses an intrinsic function this stack does not know: ${name}`);
  const entries = Object.entries(value).map(([key, each]) => [key, resolveAny(each, scope)] as const);
  return Object.fromEntries(entries.filter(([, each]) => each !== NO_VALUE)) as JsonRecord;
}

const INTRINSICS: Readonly<Record<string, (argument: Json, scope: Scope) => Resolved>> = {
  Ref: (name, scope) => refOf(String(name), scope),
  "Fn::GetAtt": (argument, scope) => {
    const [id = "", ...path] = Array.isArray(argument) ? argument.map(String) : String(argument).split(".");
    return attributeOf(id, path.join("."), scope);
  },
  "Fn::Join": (argument, scope) => {
    const [separator, parts] = argument as [string, Json];
    return (resolveValue(parts, scope) as Json[]).map(String).join(separator);
  },
  "Fn::Sub": (argument, scope) => {
    const [text, names] = Array.isArray(argument) ? (argument as [string, JsonRecord]) : [String(argument), {}];
    return text.replace(/\$\{(!?)([^}]+)\}/g, (_, literal: string, name: string) => {
      if (literal === "!") return `\${${name}}`;
      const own = names[name];
      if (own !== undefined) return String(resolveValue(own, scope));
      const [id = "", ...path] = name.split(".");
      return path.length === 0 ? String(refOf(name, scope)) : attributeOf(id, path.join("."), scope);
    });
  },
  "Fn::Select": (argument, scope) => {
    const [index, list] = argument as [Json, Json];
    return (resolveValue(list, scope) as Json[])[Number(resolveValue(index, scope))] ?? null;
  },
  "Fn::Split": (argument, scope) => {
    const [separator, text] = argument as [string, Json];
    return String(resolveValue(text, scope)).split(separator);
  },
  "Fn::If": (argument, scope) => {
    const [condition, yes, no] = argument as [string, Json, Json];
    return resolveAny(holds({ Condition: condition }, scope) ? yes : no, scope);
  },
  "Fn::FindInMap": (argument, scope) => {
    const [map, first, second] = (argument as Json[]).map((each) => String(resolveValue(each, scope)));
    const found = (scope.template.Mappings as Record<string, Record<string, JsonRecord>> | undefined)?.[map ?? ""];
    return found?.[first ?? ""]?.[second ?? ""] ?? null;
  },
  "Fn::ImportValue": (name, scope) => scope.importValue(String(resolveValue(name, scope))),
  "Fn::GetAZs": (_, scope) => ["a", "b", "c"].map((zone) => `${scope.pseudo["AWS::Region"]}${zone}`),
  "Fn::Base64": (text, scope) => Buffer.from(String(resolveValue(text, scope))).toString("base64"),
  "Fn::ToJsonString": (content, scope) => JSON.stringify(resolveValue(content, scope)),
};

function refOf(name: string, scope: Scope): Resolved {
  if (name === "AWS::NoValue") return NO_VALUE;
  const known = scope.pseudo[name] ?? scope.identity(name)?.ref ?? scope.template.Parameters?.[name]?.Default;
  if (known === undefined) throw new Error(`the template refers to nothing ref=${name}`);
  return known;
}

function attributeOf(id: string, attribute: string, scope: Scope): string {
  const identity = scope.identity(id);
  if (identity === undefined) throw new Error(`the template refers to nothing resource=${id}`);
  return identity.attributes[attribute] ?? `${id}.${attribute}`;
}

export function holds(condition: Json, scope: Scope): boolean {
  const [name = "", argument] = Object.entries(condition as JsonRecord)[0] ?? [];
  const list = argument as Json[];
  switch (name) {
    case "Condition": {
      const named = scope.template.Conditions?.[String(argument)];
      return named !== undefined && holds(named, scope);
    }
    case "Fn::Equals":
      return (
        JSON.stringify(resolveValue(list[0] ?? null, scope)) === JSON.stringify(resolveValue(list[1] ?? null, scope))
      );
    case "Fn::And":
      return list.every((each) => holds(each, scope));
    case "Fn::Or":
      return list.some((each) => holds(each, scope));
    case "Fn::Not":
      return !holds(list[0] ?? null, scope);
    default:
      throw new Error(`the template uses a condition this stack does not know: ${name}`);
  }
}
