// The few LIST requests that planning and sampling make: counted, and tried again when throttled.

import { isKind } from "../errors.ts";
import type { BucketLister, ListPage, ListRequest, Timer } from "../ports.ts";

const ATTEMPTS = 6;
const FIRST_WAIT_MS = 200;

export class Pager {
  readonly #ports: { readonly lister: BucketLister; readonly timer: Timer };
  readonly #bucket: string;
  #requests = 0;

  constructor(ports: { readonly lister: BucketLister; readonly timer: Timer }, bucket: string) {
    this.#ports = ports;
    this.#bucket = bucket;
  }

  get requests(): number {
    return this.#requests;
  }

  async page(request: Omit<ListRequest, "bucket">): Promise<ListPage> {
    const count = () => {
      this.#requests += 1;
      return true;
    };
    for (let attempt = 1; ; attempt++) {
      count();
      try {
        return await this.#ports.lister.page({ bucket: this.#bucket, ...request }, count);
      } catch (error) {
        if (attempt === ATTEMPTS || !isKind(error, "Unavailable")) throw error;
        await this.#ports.timer.sleep(FIRST_WAIT_MS * 2 ** (attempt - 1));
      }
    }
  }
}
