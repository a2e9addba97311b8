// Columns as Glue's console shows them: for display only, but Glue refuses a whole table for one name it does not like.

import { expect, test } from "vitest";
import { glueColumns } from "../../lambdas/adapters/glue-columns.ts";
import { newTableMetadata } from "../../lambdas/core/iceberg/metadata.ts";
import { assignFieldIds } from "../../lambdas/core/iceberg/schema.ts";

function namesOf(...names: string[]): (string | undefined)[] {
  const assigned = assignFieldIds(
    names.map((name) => ({ name, type: "string" })),
    0,
  );
  const table = { uuid: "uuid", location: "s3://w/t", ...assigned, specFields: [], properties: {}, nowMs: 0 };
  return glueColumns(newTableMetadata(table)).map(({ Name }) => Name);
}

test("names that Glue takes are shown as they are", () => {
  expect(namesOf("id", "Größe in €", "a,b", "𝄞")).toEqual(["id", "Größe in €", "a,b", "𝄞"]);
});

test("names that Glue refuses are cut to 255 bytes, without line breaks, and told apart by their field ids", () => {
  const [one, two, three] = namesOf(`${"ö".repeat(200)}1`, `${"ö".repeat(200)}2`, "two\nlines");
  for (const name of [one, two]) expect(Buffer.byteLength(name ?? "")).toBeLessThanOrEqual(255);
  expect(one).toMatch(/^ö+_1$/);
  expect(two).toMatch(/^ö+_2$/);
  expect(three).toBe("two_lines_3");
});
