/** What lies in the `new` of a Maildir, whose name may have bytes beyond ASCII. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** The messages, as byte strings; none where there is no such directory. */
export function storedIn(maildir: string): string[] {
  const place = Buffer.from(`${maildir}/new/`, 'latin1');
  return existsSync(place) ? readdirSync(place).map((file) => readFileSync(Buffer.concat([place, Buffer.from(file, 'latin1')]), 'latin1')) : [];
}
