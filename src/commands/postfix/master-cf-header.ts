/**
 * Reads the comment above the table of an old master.cf, which says what `-` meant when the file was written. Pure.
 *
 *     # service type  private unpriv  chroot  wakeup  maxproc command + args
 *     #               (yes)   (yes)   (yes)   (never) (50)
 */
const columns = ['private', 'unpriv', 'chroot', 'wakeup', 'maxproc'] as const;

/** What `-` means today; maxproc is $default_process_limit, and a comment that says so in its own words is right. */
const today: { readonly [C in (typeof columns)[number]]: string } = { private: 'yes', unpriv: 'yes', chroot: 'no', wakeup: 'never', maxproc: '100' };

const header = /^#[ \t]+(?:\(yes\)|\(no\))[ \t]+(\((?:yes|no)\))[ \t]+(\((?:yes|no)\))[ \t]+(\([a-z0-9?]+\))[ \t]+(\([0-9a-z]+\))[ \t]*$/;

/** One note per comment line that says something else than what holds. */
export function headerNotes(text: string, file: string): string[] {
  const notes: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (!header.test(line)) continue;
    const said = line.match(/\(([^)]*)\)/g)!.map((word) => word.slice(1, -1));
    const different = columns.flatMap((column, at) => (said[at] === today[column] ? [] : [`${column}: ${said[at]}, today ${today[column]}`]));
    if (different.length > 0)
      notes.push(`${file}: line ${index + 1}: the comment tells of older defaults for "-" (${different.join('; ')}); today's hold`);
  }
  return notes;
}
