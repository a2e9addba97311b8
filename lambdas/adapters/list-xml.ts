// Reads the answer of ListObjectsV2. The SDK's own parser takes ten times as long (bench/list-page.ts): at 64 requests at once that
// is the difference between waiting for S3 and waiting for oneself.
// Strict: whatever is not the XML S3 writes is an error, never a shorter page. Elements that are not asked for are stepped over.

import type { ListedObject, ListPage } from "../core/ports.ts";

export class ListXmlError extends Error {
  override readonly name = "ListXmlError";
}

type Draft = { -readonly [Name in keyof ListedObject]: ListedObject[Name] };

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const [LESS, GREATER, SLASH, SPACE, DIGIT_0, DIGIT_9] = [60, 62, 47, 32, 48, 57];
const QUOTE = "&quot;";

/** `next`: the continuation token of a page that is truncated. */
export type ReadPage = ListPage & { readonly next?: string };

export function readListXml(body: Buffer): ReadPage {
  return new ListXmlReader(body).read();
}

class ListXmlReader {
  readonly #body: Buffer;
  readonly #xml: string;
  /** Then a place in the text is the same place in the bytes. */
  readonly #ascii: boolean;
  #at = 0;
  readonly #objects: Draft[] = [];
  readonly #folders: string[] = [];
  readonly #leaves = new Map<string, string>();

  constructor(body: Buffer) {
    this.#body = body;
    this.#xml = body.toString();
    this.#ascii = this.#xml.length === body.length;
  }

  read(): ReadPage {
    if (this.#xml.startsWith("<?xml")) this.#at = this.#find("?>") + 2;
    if (this.#open() !== "ListBucketResult") throw this.#error("this is no listing");
    this.#children("ListBucketResult", (child) => this.#field(child));
    this.#skipSpace();
    if (this.#at !== this.#xml.length) throw this.#error("there is more behind the end");
    const truncated = this.#leaves.get("IsTruncated");
    if (truncated !== "true" && truncated !== "false") throw this.#error("IsTruncated is missing");
    const encoding = this.#leaves.get("EncodingType");
    if (encoding !== undefined && encoding !== "url") throw this.#error("keys are encoded in an unknown way");
    const decode = encoding === "url" ? decodeUrl : (text: string) => text;
    for (const object of this.#objects) object.key = decode(object.key);
    const next = this.#leaves.get("NextContinuationToken");
    const page = { objects: this.#objects, folders: this.#folders.map(decode), truncated: truncated === "true" };
    return next === undefined ? page : { ...page, next };
  }

  #field(name: string): void {
    if (name === "Contents") this.#objects.push(this.#object());
    else if (name === "CommonPrefixes") this.#children(name, (child) => this.#folders.push(this.#text(child)));
    else if (LEAVES.has(name)) this.#leaves.set(name, this.#text(name));
    else this.#skip(name);
  }

  #object(): Draft {
    const draft: Draft = { key: "", etag: "", sizeBytes: Number.NaN, lastModifiedMs: Number.NaN };
    for (let name = this.#open(); name !== undefined; name = this.#open()) {
      if (name === "Key") draft.key = this.#text(name);
      else if (name === "ETag") draft.etag = this.#etag();
      else if (name === "Size") draft.sizeBytes = this.#digits(name);
      else if (name === "LastModified") draft.lastModifiedMs = Date.parse(this.#text(name));
      else this.#skip(name);
    }
    this.#close("Contents");
    const whole = draft.key !== "" && draft.etag !== "" && draft.sizeBytes >= 0 && !Number.isNaN(draft.lastModifiedMs);
    if (!whole) throw this.#error("an object lacks its key, etag, size or date");
    return draft;
  }

  /** Calls `visit` behind the opening tag of each child, which reads on to behind its closing tag. */
  #children(parent: string, visit: (name: string) => void): void {
    for (let name = this.#open(); name !== undefined; name = this.#open()) visit(name);
    this.#close(parent);
  }

  #skip(name: string): void {
    const end = this.#find("<");
    if (this.#xml.charCodeAt(end + 1) === SLASH) {
      this.#at = end;
      this.#close(name);
    } else this.#children(name, (child) => this.#skip(child));
  }

  /** Steps behind the next opening tag; undefined: a closing one comes next. Tags without content are passed over. */
  #open(): string | undefined {
    for (;;) {
      this.#skipSpace();
      const start = this.#at + 1;
      if (this.#xml.charCodeAt(this.#at) !== LESS) throw this.#error("a tag was expected");
      if (this.#xml.charCodeAt(start) === SLASH) return undefined;
      const end = this.#find(">");
      this.#at = end + 1;
      const tag = this.#xml.slice(start, end);
      if (KNOWN.has(tag)) return tag;
      const name = /^[A-Za-z][A-Za-z0-9]*(?=$|[\s/])/.exec(tag)?.[0];
      if (name === undefined) throw this.#error("a tag was expected");
      if (!tag.endsWith("/")) return name;
    }
  }

  #text(name: string): string {
    const start = this.#at;
    this.#at = this.#find("<");
    const text = this.#slice(start, this.#at);
    this.#close(name);
    if (!text.includes("&")) return text;
    return text.replace(/&([^;]*);?/g, (whole, entity: string) => this.#entity(whole, entity));
  }

  #etag(): string {
    const start = this.#at;
    const end = this.#find("<");
    if (this.#xml.startsWith(QUOTE, start) && this.#xml.startsWith(QUOTE, end - QUOTE.length)) {
      this.#at = end;
      this.#close("ETag");
      return this.#slice(start + QUOTE.length, end - QUOTE.length);
    }
    return this.#text("ETag").replaceAll('"', "");
  }

  #digits(name: string): number {
    let value = 0;
    const start = this.#at;
    for (; ; this.#at++) {
      const unit = this.#xml.charCodeAt(this.#at);
      if (!(unit >= DIGIT_0 && unit <= DIGIT_9)) break;
      value = value * 10 + (unit - DIGIT_0);
    }
    if (this.#at === start || value > Number.MAX_SAFE_INTEGER) throw this.#error(`${name} is no number`);
    this.#close(name);
    return value;
  }

  #close(name: string): void {
    const end = this.#at + 2 + name.length;
    const closes = this.#xml.startsWith("</", this.#at) && this.#xml.startsWith(name, this.#at + 2);
    if (!closes || this.#xml.charCodeAt(end) !== GREATER) throw this.#error(`${name} does not end`);
    this.#at = end + 1;
  }

  #entity(whole: string, entity: string): string {
    const named = ENTITIES[entity];
    if (named !== undefined && whole.endsWith(";")) return named;
    const [, hex, decimal] = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(entity) ?? [];
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    if (!whole.endsWith(";") || !(point <= 0x10ffff)) throw this.#error("an entity is unknown");
    return String.fromCodePoint(point);
  }

  #skipSpace(): void {
    while (this.#xml.charCodeAt(this.#at) <= SPACE) this.#at++;
  }

  #find(text: string): number {
    const at = this.#xml.indexOf(text, this.#at);
    if (at < 0) throw this.#error("the answer ends early");
    return at;
  }

  /** A string of its own: a part of a string would keep all of it, here a page of XML, in memory. */
  #slice(start: number, end: number): string {
    if (this.#ascii) return this.#body.toString("latin1", start, end);
    return Buffer.from(this.#xml.slice(start, end)).toString();
  }

  #error(message: string): ListXmlError {
    return new ListXmlError(`${message} at=${this.#at} length=${this.#xml.length}`);
  }
}

const LEAVES: ReadonlySet<string> = new Set(["IsTruncated", "EncodingType", "NextContinuationToken"]);

/** Tags as S3 writes them, without attributes: known at sight. */
const KNOWN = new Set(
  "Contents Key LastModified ETag Size StorageClass ChecksumAlgorithm ChecksumType CommonPrefixes Prefix".split(" "),
);

function decodeUrl(encoded: string): string {
  if (!encoded.includes("%") && !encoded.includes("+")) return encoded;
  try {
    return decodeURIComponent(encoded.replaceAll("+", " "));
  } catch {
    throw new ListXmlError("a key's url encoding is broken");
  }
}
