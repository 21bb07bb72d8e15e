/** Certificates of those whom a client believes, from a file and from the files of a folder. Throws what reading throws. */
import { readFileSync, readdirSync } from 'node:fs';

export function certificates(file: string | undefined, folder: string | undefined): { readonly ca?: string[] } {
  const files = [
    ...(file === undefined ? [] : [file]),
    ...(folder === undefined ? [] : readdirSync(Buffer.from(folder, 'latin1'), 'latin1').filter((name) => /\.(?:pem|crt|cer|[0-9]+)$/.test(name)).map((name) => `${folder}/${name}`)),
  ];
  return files.length === 0 ? {} : { ca: files.map((name) => readFileSync(Buffer.from(name, 'latin1'), 'latin1')) };
}
