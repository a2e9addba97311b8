// The inside of one function environment: a Node process of its own that loads the bundle and answers invocations.
// Started by lambda.ts as `node lambda-runtime.ts <code folder> <file.export>` with exactly the function's environment.
// It kills itself when its parent goes away, so no environment outlives the stack.

import { existsSync, readFileSync } from "node:fs";
import { Module } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export interface InvocationMessage {
  readonly requestId: string;
  /** JSON. */
  readonly event: string;
  readonly deadlineMs: number;
  readonly functionArn: string;
}

export type AnswerMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "returned"; readonly requestId: string; readonly payload: string }
  | {
      readonly kind: "failed";
      readonly requestId: string;
      readonly errorType: string;
      readonly errorMessage: string;
      readonly trace: string[];
    };

type Handler = (event: unknown, context: unknown, callback: (error: unknown, result: unknown) => void) => unknown;

const [, , codeFolder = "", handlerName = ""] = process.argv;

async function loadHandler(): Promise<Handler> {
  const dot = handlerName.lastIndexOf(".");
  const file = ["mjs", "cjs", "js"]
    .map((ext) => join(codeFolder, `${handlerName.slice(0, dot)}.${ext}`))
    .find(existsSync);
  if (file === undefined) throw new Error(`no handler file for handler=${handlerName} folder=${codeFolder}`);
  const loaded = isCommonJs(file) ? requireFile(file) : ((await import(pathToFileURL(file).href)) as object);
  const handler = (loaded as Record<string, unknown>)[handlerName.slice(dot + 1)];
  if (typeof handler !== "function") throw new Error(`no such export handler=${handlerName} file=${file}`);
  return handler as Handler;
}

/** As in Lambda, where nothing lies above the bundle: a `.js` is CommonJS unless a package.json beside it says otherwise. */
function isCommonJs(file: string): boolean {
  if (!file.endsWith(".js")) return file.endsWith(".cjs");
  const manifest = join(dirname(file), "package.json");
  return !existsSync(manifest) || !/"type"\s*:\s*"module"/.test(readFileSync(manifest, "utf8"));
}

/** `require` would ask the package.json of the project that cdk.out lies in, which may say "module". */
function requireFile(file: string): object {
  interface CompilableModule {
    filename: string;
    paths: string[];
    exports: object;
    _compile(source: string, file: string, format: string): void;
  }
  const Internal = Module as unknown as {
    new (file: string): CompilableModule;
    _nodeModulePaths(folder: string): string[];
  };
  const compiled = new Internal(file);
  compiled.filename = file;
  compiled.paths = Internal._nodeModulePaths(dirname(file));
  compiled._compile(readFileSync(file, "utf8"), file, "commonjs");
  return compiled.exports;
}

function contextOf({ requestId, deadlineMs, functionArn }: InvocationMessage) {
  const name = process.env["AWS_LAMBDA_FUNCTION_NAME"] ?? "";
  return {
    awsRequestId: requestId,
    callbackWaitsForEmptyEventLoop: true,
    functionName: name,
    functionVersion: "$LATEST",
    invokedFunctionArn: functionArn,
    memoryLimitInMB: process.env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] ?? "128",
    logGroupName: `/aws/lambda/${name}`,
    logStreamName: `local/${process.pid}`,
    getRemainingTimeInMillis: () => Math.max(0, deadlineMs - Date.now()),
  };
}

function run(handler: Handler, message: InvocationMessage): Promise<unknown> {
  const event: unknown = JSON.parse(message.event);
  return new Promise((resolve, reject) => {
    const callback = (error: unknown, result: unknown) => (error ? reject(error) : resolve(result));
    const result = handler(event, contextOf(message), callback);
    if (handler.length < 3 || result instanceof Promise) resolve(result);
  });
}

function failure(requestId: string, error: unknown): AnswerMessage {
  const known = error instanceof Error ? error : new Error(String(error));
  const trace = (known.stack ?? "").split("\n").slice(0, 30);
  return { kind: "failed", requestId, errorType: known.name, errorMessage: known.message, trace };
}

function send(answer: AnswerMessage): void {
  process.send?.(answer);
}

process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
try {
  const handler = await loadHandler();
  process.on("message", (message: InvocationMessage) => {
    run(handler, message).then(
      (result) => send({ kind: "returned", requestId: message.requestId, payload: JSON.stringify(result ?? null) }),
      (error: unknown) => send(failure(message.requestId, error)),
    );
  });
  send({ kind: "ready" });
} catch (error) {
  send(failure("", error));
}
