// ListObjectsV2, one request per page, never sent twice by the SDK: the governor decides when S3 is asked again.
// The SDK signs and sends, and reads errors; the answer's XML is read here (list-xml.ts says why) and the SDK gets an empty one.

import { ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";
import { compareUtf8 } from "../core/discovery/key-order.ts";
import { assert, MoraineError } from "../core/errors.ts";
import type { BucketLister, ListPage, ListRequest, MayAskOn } from "../core/ports.ts";
import { ListXmlError, readListXml } from "./list-xml.ts";
import { describeFailure, isThrottled, toMoraineError } from "./sdk-errors.ts";

/** In a row: a million delete markers. Reading over them takes minutes, each time anew. */
const EMPTY_PAGES_MAX = 1000;

const NOTHING_LISTED = Buffer.from("<ListBucketResult></ListBucketResult>");

/** What the SDK hands its parser. */
interface HttpAnswer {
  readonly statusCode: number;
  body: AsyncIterable<Uint8Array> | Uint8Array;
}

export class S3Lister implements BucketLister {
  readonly #client: S3Client;
  /** Where a walk over empty pages was broken off, by what was asked: asked again, it goes on there. */
  readonly #walks = new Map<string, { readonly token: string; readonly pages: number }>();

  /** `client`: without retries of its own, `createClients().listing`. */
  constructor(client: S3Client) {
    this.#client = client;
  }

  async page(request: ListRequest, mayAskOn: MayAskOn = () => true): Promise<ListPage> {
    try {
      return await this.#page(request, mayAskOn);
    } catch (error) {
      const { bucket, prefix } = request;
      if (error instanceof ListXmlError) {
        throw new MoraineError(
          "Unavailable",
          "s3's listing cannot be read",
          { bucket, prefix, said: error.message },
          error,
        );
      }
      const failure = describeFailure(error);
      // Any 503 of S3 asks for fewer requests, whatever its name.
      const throttled = isThrottled(failure) || failure.status === 503;
      if (!throttled) this.#walks.delete(JSON.stringify(request));
      const facts = throttled ? { bucket, prefix, throttled } : { bucket, prefix };
      throw toMoraineError(error, { action: "s3:ListBucket", effect: "read", facts });
    }
  }

  /** Over many delete markers S3 answers pages that hold nothing and are not the last: those are read on here. */
  async #page(request: ListRequest, mayAskOn: MayAskOn): Promise<ListPage> {
    const asked = JSON.stringify(request);
    let { token, pages }: { token?: string; pages: number } = this.#walks.get(asked) ?? { pages: 0 };
    for (;;) {
      const { next, ...page } = readListXml(await this.#body(request, token));
      pages++;
      this.#walks.delete(asked);
      const wanted = withoutEarlier(page, request.after ?? "");
      if (!wanted.truncated || wanted.objects.length + wanted.folders.length > 0) return wanted;
      if (next === undefined) throw new ListXmlError("a truncated page has no token");
      const { bucket, prefix, after } = request;
      const facts = { bucket, prefix, after, pages };
      if (pages >= EMPTY_PAGES_MAX) {
        const remedy = "let a lifecycle rule of the bucket remove expired delete markers";
        throw new MoraineError("Invalid", `s3 lists nothing but empty pages: ${remedy}`, facts);
      }
      if (!mayAskOn()) throw new MoraineError("Unavailable", "time was up while s3 listed empty pages", facts);
      token = next;
      this.#walks.set(asked, { token, pages });
    }
  }

  async #body({ bucket, prefix, after, folded }: ListRequest, token: string | undefined): Promise<Buffer> {
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: prefix,
      EncodingType: "url",
      ...(token === undefined ? {} : { ContinuationToken: token }),
      ...(after === undefined || after === "" ? {} : { StartAfter: after }),
      ...(folded === true ? { Delimiter: "/" } : {}),
    });
    let body: Buffer | undefined;
    // Low priority: next to the network, before the SDK's own parser.
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const response = result.response as HttpAnswer;
        if (response.statusCode === 200) {
          body = await bytesOf(response.body);
          response.body = NOTHING_LISTED;
        }
        return result;
      },
      { step: "deserialize", priority: "low", name: "readListing" },
    );
    await this.#client.send(command);
    assert(body !== undefined, "s3 answered a listing without a body");
    return body;
  }
}

async function bytesOf(body: HttpAnswer["body"]): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

/** Behind "a/x" S3 may or may not name the folder "a/" again; the port does not. */
function withoutEarlier(page: ListPage, after: string): ListPage {
  const [first] = page.folders;
  if (first === undefined || compareUtf8(first, after) > 0) return page;
  return { ...page, folders: page.folders.filter((folder) => compareUtf8(folder, after) > 0) };
}
