// What a place in JSON records may hold by the type of its column, made ready for going over records (json/fit.ts).

import type { PrimitiveType, Type } from "../../../core/iceberg/types.ts";
import { type Holds, holdsOf } from "./scalars.ts";

export type Expected =
  | { readonly kind: "any" }
  | { readonly kind: "scalar"; readonly type: PrimitiveType; readonly holds: Holds }
  | { readonly kind: "list"; readonly type: Type; readonly element: Expected }
  | { readonly kind: "map"; readonly type: Type; readonly value: PrimitiveType | undefined }
  | { readonly kind: "struct"; readonly type: Type | undefined; readonly fields: ReadonlyMap<string, Member> };

export interface Member {
  readonly name: string;
  readonly expected: Expected;
}

export function expectedOf(type: Type): Expected {
  if (typeof type === "string")
    return type === "string" ? { kind: "any" } : { kind: "scalar", type, holds: holdsOf(type) };
  switch (type.type) {
    case "list":
      return { kind: "list", type, element: expectedOf(type.element) };
    case "map":
      return { kind: "map", type, value: typeof type.value === "string" ? type.value : undefined };
    case "struct": {
      const fields = type.fields.map(
        (field) => [field.name, { name: field.name, expected: expectedOf(field.type) }] as const,
      );
      return { kind: "struct", type, fields: new Map(fields) };
    }
  }
}

export function typeOf(expected: Expected): Type | undefined {
  return expected.kind === "any" ? "string" : expected.type;
}
