// What Node's streams that change bytes make of a body; whoever stops reading closes both.

import { Readable, type Transform } from "node:stream";

export async function* through(body: AsyncIterable<Uint8Array>, transform: Transform): AsyncGenerator<Uint8Array> {
  const input = Readable.from(body, { objectMode: true });
  input.on("error", (error) => transform.destroy(error));
  try {
    for await (const chunk of input.pipe(transform)) yield chunk as Uint8Array;
  } finally {
    input.destroy();
    transform.destroy();
  }
}
