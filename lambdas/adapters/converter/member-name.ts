// Names of files in archives: whoever packed the archive chose them. They are kept and shown, never used as paths.

/** As long as a key of S3 may be. */
const KEPT_LENGTH_MAX = 1024;
const SHOWN_LENGTH_MAX = 80;

/** What is kept beside rows. */
export function keptName(name: string): string {
  return cut(name, KEPT_LENGTH_MAX).toWellFormed();
}

/** For messages: printable, short, in quotes. */
export function shownName(name: string): string {
  return JSON.stringify(cut(name, SHOWN_LENGTH_MAX)).replace(
    /[^\x20-\x7e…]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function cut(name: string, length: number): string {
  return name.length > length ? `${name.slice(0, length)}…` : name;
}

/** A JSON member that names the file in its archive, with the comma after it. Of what lies in none: nothing. */
export function memberJson({ member }: { readonly member?: string }): string {
  return member === undefined ? "" : `"member":${JSON.stringify(member)},`;
}
