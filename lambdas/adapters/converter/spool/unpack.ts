// An archive on its way to the work directory: every file in it is spooled for itself, under the bounds of the whole.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Source } from "../../../core/ports.ts";
import type { SpooledSource } from "../format.ts";
import { keptName, shownName } from "../member-name.ts";
import type { MemberIndexes } from "../members.ts";
import { type Member, tarMembers, zipMembers } from "./archive.ts";
import { type FoundArchive, fullDisk, type Spooled, type SpoolOptions, spool, type Unfolded } from "./spool.ts";
import { SpoolError } from "./spool-error.ts";

export type Part = SpooledSource & Pick<Spooled, "head">;

/** One part for each file; an archive without any is one part without bytes. */
export async function unpack(
  found: FoundArchive,
  source: Source,
  directory: string,
  options: SpoolOptions,
  indexes: MemberIndexes,
): Promise<readonly Part[]> {
  const parts: Part[] = [];
  let kept = 0;
  const raw = `${directory}/${source.index}.zip`;
  const within: Unfolded = { bytes: 0, receivedBytes: () => found.counted.bytes };
  try {
    if (found.archive === "zip") kept = await keepZip(found, raw, options);
    const members = found.archive === "zip" ? zipMembers(raw) : tarMembers(found.body);
    for await (const member of members) {
      const path = `${directory}/${source.index}-${parts.length}`;
      const spooled = await spoolMember(member, { ...options, path, within, roomBytes: 0, compression: "auto" });
      const own = { ...source, index: indexes.next() };
      parts.push({
        ...spooled,
        bytesRead: 0,
        source: own,
        path,
        member: keptName(member.name),
        archiveIndex: source.index,
      });
    }
  } catch (error) {
    options.disk.giveBack(parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    await Promise.all(parts.map(({ path }) => rm(path, { force: true })));
    throw error;
  } finally {
    await rm(raw, { force: true });
    options.disk.giveBack(kept);
  }
  const [first, ...others] = parts;
  if (first === undefined) return [await emptyPart(found, source, directory, options)];
  return [{ ...first, bytesRead: found.counted.bytes }, ...others];
}

/** Returns what it took from the disk's budget. */
async function keepZip({ body }: FoundArchive, path: string, options: SpoolOptions): Promise<number> {
  let bytes = 0;
  const taking = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      if (!options.disk.take(chunk.length)) throw fullDisk(bytes + chunk.length, options);
      bytes += chunk.length;
      yield chunk;
    }
  };
  try {
    await pipeline(body, taking, createWriteStream(path));
    return bytes;
  } catch (error) {
    options.disk.giveBack(bytes);
    throw error;
  }
}

async function spoolMember({ name, body }: Member, options: SpoolOptions): Promise<Spooled> {
  try {
    const spooled = await spool(body, Number.POSITIVE_INFINITY, { ...options, name });
    if (!("archive" in spooled)) return spooled;
    throw new SpoolError("NESTED_ARCHIVE", `is a ${spooled.archive} archive itself; pack its files into the outer one`);
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    throw new SpoolError(error.reason, `member ${shownName(name)}: ${error.message}`, error.place);
  }
}

async function emptyPart(found: FoundArchive, source: Source, directory: string, options: SpoolOptions): Promise<Part> {
  const path = `${directory}/${source.index}-0`;
  const nothing = (async function* (): AsyncGenerator<Uint8Array> {})();
  const spooled = await spoolMember(
    { name: "", body: nothing },
    { ...options, path, roomBytes: 0, compression: "none" },
  );
  return { ...spooled, bytesRead: found.counted.bytes, source, path };
}
