import assert from 'node:assert/strict';
import test from 'node:test';
import { parseSites, Tally } from './lists.ts';

const sites = (text: string) => parseSites(text, (domain) => (domain === 'secret.test' ? 'shown.test' : undefined));

for (const [text, want] of [
  ['bad.test*x', 'bad DNSBL weight factor "x" in "bad.test*x"'], ['bad.test*', 'bad DNSBL weight factor "" in "bad.test*"'],
  ['bad.test=1.2.3', 'bad DNSBL filter syntax: '], ['bad..test', 'bad DNSBL domain name "bad..test" in "bad..test"'],
] as const) test(`no list: ${text}`, () => assert.throws(() => sites(text), (error: Error) => error.message.startsWith(want)));

test('one list, several filters', () => {
  const found = sites('a.test, b.test=127.0.0.[2..4]*3 a.test=127.0.0.5*-1,secret.test');
  assert.deepEqual(found.map(({ domain, shownAs, filters }) => [domain, shownAs, filters.map(({ weight }) => weight)]), [['a.test', 'a.test', [-1, 1]], ['b.test', 'b.test', [3]], ['secret.test', 'shown.test', [1]]]);
});

/** Answers by list; the score with 60 and 3600 as bounds. */
function score(text: string, answers: Record<string, readonly [addresses: string, ttl: number]>) {
  const tally = new Tally();
  for (const site of sites(text)) {
    const [addresses, ttl] = answers[site.domain]!;
    tally.add(site, { addresses: addresses.split(' ').filter((word) => word !== ''), ttl });
  }
  return tally.score(60, 3600);
}

for (const [name, text, answers, want] of [
  ['nothing', 'a.test', { 'a.test': ['', 500] }, { total: 0, name: '', ttl: 500 }],
  ['nobody said for how long', 'a.test', { 'a.test': ['', -1] }, { total: 0, name: '', ttl: 60 }],
  ['listed', 'a.test*2', { 'a.test': ['127.0.0.2', 900] }, { total: 2, name: 'a.test', ttl: 900 }],
  ['one answer of several', 'a.test=127.0.0.3', { 'a.test': ['127.0.0.2 127.0.0.3', 9000] }, { total: 1, name: 'a.test', ttl: 3600 }],
  ['another answer', 'a.test=127.0.0.4', { 'a.test': ['127.0.0.2 127.0.0.3', 70] }, { total: 0, name: '', ttl: 60 }],
  ['filters add up', 'a.test=127.0.0.2 a.test=127.0.0.[1..9]*4', { 'a.test': ['127.0.0.2', 100] }, { total: 5, name: 'a.test', ttl: 100 }],
  ['the heaviest is named', 'a.test*2 secret.test*5 b.test*3', { 'a.test': ['127.0.0.2', 100], 'secret.test': ['127.0.0.2', 100], 'b.test': ['127.0.0.2', 100] }, { total: 10, name: 'shown.test', ttl: 100 }],
  ['good word', 'a.test*2 b.test*-3', { 'a.test': ['127.0.0.2', 100], 'b.test': ['127.0.0.2', 200] }, { total: -1, name: 'a.test', ttl: 200 }],
  ['a refusal holds no longer than the missing good word', 'a.test*2 b.test*-3', { 'a.test': ['127.0.0.2', 900], 'b.test': ['', 200] }, { total: 2, name: 'a.test', ttl: 200 }],
] as const) test(`score: ${name}`, () => assert.deepEqual(score(text, answers), want));
