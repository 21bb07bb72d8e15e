import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnfitContent, downgraded } from './downgrade.ts';

const limits = { headerLimit: 102_400, boundaryLimit: 2048, maximumDepth: 3 };

async function convert(text: string, step = 7): Promise<string> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < text.length; at += step) yield Buffer.from(text.slice(at, at + step), 'latin1');
  }
  let out = '';
  for await (const chunk of downgraded(pieces(), limits)) out += chunk.toString('latin1');
  return out;
}

const head = 'Mime-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n';
for (const [name, input, want] of [
  ['7-bit mail stays as it is', 'Subject: x\n\nhello = world\n', 'Subject: x\n\nhello = world\n'],
  ['8-bit text', `${head}Content-Transfer-Encoding: 8bit\n\ncaf\xc3\xa9 = x\nend \n`, `${head}Content-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 =3D x\nend=20\n`],
  ['a part of a multipart', 'Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\nContent-Transfer-Encoding: 8bit\n\n\xe9\n--b\n\nplain\n--b--\n', 'Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n=E9\n--b\n\nplain\n--b--\n'],
  ['no line end at the end', 'Subject: x\n\nhello', 'Subject: x\n\nhello\n'],
] as const) test(`downgrade: ${name}`, async () => {
  for (const step of [1, 7, 10_000]) assert.equal(await convert(input, step), want);
});

test('nested too deeply', async () => {
  const deep = Array.from({ length: 8 }, (_, depth) => `Content-Type: multipart/mixed; boundary=b${depth}\n\n--b${depth}\n`).join('');
  await assert.rejects(convert(deep), (error) => error instanceof UnfitContent && error.message === 'MIME nesting exceeds safety limit');
});
