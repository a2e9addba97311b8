// Names of columns, of files of every format.

/**
 * Names of the columns: trimmed; an empty one is named by its place; one that is there already, in whatever case, or is reserved
 * gets `_1`, `_2`, ... (Glue and Athena do not tell `id` from `ID`).
 */
export function columnNames(header: readonly string[], reserved: readonly string[]): string[] {
  const taken = new Set(reserved.map((name) => name.toLowerCase()));
  return header.map((raw, index) => {
    const wanted = raw.trim() === "" ? `column${index}` : raw.trim();
    let name = wanted;
    for (let n = 1; taken.has(name.toLowerCase()); n++) name = `${wanted}_${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

/** Exactly, or else differing in case only; -1: there is none. */
export function indexOfName(names: readonly string[], name: string): number {
  const exact = names.indexOf(name);
  if (exact >= 0) return exact;
  const lower = name.toLowerCase();
  return names.findIndex((candidate) => candidate.toLowerCase() === lower);
}

/** By the same rule. */
export function findByName<T extends { readonly name: string }>(fields: readonly T[], name: string): T | undefined {
  const lower = name.toLowerCase();
  return fields.find((field) => field.name === name) ?? fields.find((field) => field.name.toLowerCase() === lower);
}
