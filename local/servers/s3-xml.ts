// The little XML that S3 speaks: rendering of nested records, reading of element trees without attributes, and errors.
// Keys may hold characters XML 1.0 cannot carry raw (control characters): they go out as character references, as S3 does.

export type XmlValue = string | number | boolean | undefined | XmlRecord | readonly XmlValue[];
export interface XmlRecord {
  readonly [name: string]: XmlValue;
}

export function renderXml(name: string, content: XmlRecord): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(name, content, ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"')}`;
}

function element(name: string, value: XmlValue, attributes = ""): string {
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.map((each: XmlValue) => element(name, each)).join("");
  const inner =
    typeof value === "object"
      ? Object.entries(value)
          .map(([child, content]) => element(child, content))
          .join("")
      : escapeXml(String(value));
  return `<${name}${attributes}>${inner}</${name}>`;
}

function escapeXml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be found
  return text.replace(/[&<>"\u0000-\u001f\u007f]/g, (char) => `&#x${char.charCodeAt(0).toString(16)};`);
}

export interface XmlNode {
  readonly name: string;
  readonly children: XmlNode[];
  text: string;
}

/** Attributes, comments and declarations are passed over; malformed input gives undefined. */
export function parseXml(source: string): XmlNode | undefined {
  const root: XmlNode = { name: "", children: [], text: "" };
  const open: XmlNode[] = [root];
  const tags = /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<(\/?)([^\s/>]+)[^>]*?(\/?)>|([^<]+)/g;
  for (const [, closing, name, selfClosing, text] of source.matchAll(tags)) {
    const top = open.at(-1) as XmlNode;
    if (text !== undefined) top.text += unescapeXml(text);
    if (name === undefined) continue;
    if (closing === "/") {
      if (top.name !== localName(name) || open.length === 1) return undefined;
      open.pop();
      continue;
    }
    const node: XmlNode = { name: localName(name), children: [], text: "" };
    top.children.push(node);
    if (selfClosing !== "/") open.push(node);
  }
  return open.length === 1 ? root.children[0] : undefined;
}

function localName(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

export function childrenOf(node: XmlNode | undefined, name: string): readonly XmlNode[] {
  return node?.children.filter((child) => child.name === name) ?? [];
}

export function textOf(node: XmlNode | undefined, name: string): string | undefined {
  return childrenOf(node, name)[0]?.text;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(#x[0-9a-f]+|#[0-9]+|[a-z]+);/gi, (whole, entity: string) => {
    if (entity.startsWith("#x")) return String.fromCodePoint(Number.parseInt(entity.slice(2), 16));
    if (entity.startsWith("#")) return String.fromCodePoint(Number.parseInt(entity.slice(1), 10));
    return ENTITIES[entity] ?? whole;
  });
}

/** An answer S3 gives as an error document. */
export class S3Error extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "S3Error";
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}
