// A bucket of keys for planning and sampling: pages as S3 makes them, and the requests that were made.

import { compareUtf8 } from "../../../lambdas/core/discovery/key-order.ts";
import { holds } from "../../../lambdas/core/discovery/key-ranges.ts";
import type { KeyRange } from "../../../lambdas/core/discovery/model.ts";
import type { BucketLister, ListedObject, ListPage, ListRequest } from "../../../lambdas/core/ports.ts";

const PAGE_KEYS = 1000;

export class SortedBucket implements BucketLister {
  readonly requests: ListRequest[] = [];
  readonly objects: readonly ListedObject[];

  constructor(objects: readonly (string | ListedObject)[]) {
    this.objects = objects
      .map((object) => (typeof object === "string" ? anObject(object) : object))
      .sort((a, b) => compareUtf8(a.key, b.key));
  }

  async page(request: ListRequest): Promise<ListPage> {
    this.requests.push(request);
    const { prefix, after = "", folded = false } = request;
    const objects: ListedObject[] = [];
    const folders: string[] = [];
    for (let at = this.#firstBehind(prefix, after); at < this.objects.length; at++) {
      const object = this.objects[at] as ListedObject;
      if (!object.key.startsWith(prefix)) break;
      const slash = folded ? object.key.indexOf("/", prefix.length) : -1;
      const folder = slash < 0 ? undefined : object.key.slice(0, slash + 1);
      // Of a folder that is `after` itself, S3 lists nothing again.
      if (folder !== undefined && (folder === folders.at(-1) || folder === after)) continue;
      if (objects.length + folders.length === PAGE_KEYS) return { objects, folders, truncated: true };
      if (folder === undefined) objects.push(object);
      else folders.push(folder);
    }
    return { objects, folders, truncated: false };
  }

  /** As a plain lister would list the ranges, page after page; counts requests as `requests` does. */
  async list(prefix: string, ranges: readonly KeyRange[]): Promise<readonly string[]> {
    const keys: string[] = [];
    for (const range of ranges) {
      let { after } = range;
      for (;;) {
        const page = await this.page({ bucket: "b", prefix, after });
        const inside = page.objects.filter(({ key }) => holds(range, key));
        keys.push(...inside.map(({ key }) => key));
        if (!page.truncated || inside.length < page.objects.length) break;
        after = page.objects.at(-1)?.key ?? after;
      }
    }
    return keys;
  }

  #firstBehind(prefix: string, after: string): number {
    const isBefore = (key: string) => compareUtf8(key, prefix) < 0 || (after !== "" && compareUtf8(key, after) <= 0);
    let [low, high] = [0, this.objects.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.objects[middle]?.key ?? "")) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export function anObject(key: string, lastModifiedMs = 0, sizeBytes = 1): ListedObject {
  return { key, etag: "e", sizeBytes, lastModifiedMs };
}
