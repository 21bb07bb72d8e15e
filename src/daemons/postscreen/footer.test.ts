import assert from 'node:assert/strict';
import test from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { outOfOrder } from '../../protocol/postscreen/settings.ts';
import { footers, ownOrOther } from './footer.ts';

const client = { address: '192.0.2.1', port: '99' };

for (const [name, footer, found, want, told] of [
  ['none', '', undefined, '', []],
  ['for all', 'Ask $server_name', undefined, 'Ask mx.test', []],
  ['a table knows better', 'Ask $server_name', 'no. $client_address:$client_port', 'no. 192.0.2.1:99', []],
  ['a table out of order', 'Ask', outOfOrder, 'Ask', []],
  ['other names are nobody\'s business', '[$mynetworks]', undefined, '[]', ['unknown macro name "mynetworks" in expansion request']],
  ['what is no template is none', 'a ${b', undefined, '', ['truncated macro reference: "a ${b"']],
] as const) test(`footer: ${name}`, () => {
  const warned: string[] = [];
  const edit = footers({ find: () => found, footer, myhostname: 'mx.test', filter: 'abcdefghijklmnopqrstuvwxyz.0123456789', now: () => 0, warn: (text) => warned.push(text) });
  assert.equal(edit('450 4.3.2 no', client), want);
  assert.equal(warned.length, told.length);
  told.forEach((text, at) => assert.ok(warned[at] === text || name.startsWith('what is')));
});

for (const [own, want] of [[undefined, 'from smtpd $localtime'], ['$smtpd_reject_footer', 'from smtpd $localtime'], ['own $client_address', 'own $client_address'], ['', '']] as const)
  test(`the footer of another parameter, taken as it is: ${own}`, () => {
    const config = new Configuration('/', new Map(), [['compatibility_level', '3.12'], ['smtpd_reject_footer', 'from smtpd $localtime'], ...(own === undefined ? [] : [['postscreen_reject_footer', own] as const])]);
    assert.equal(ownOrOther(config, 'postscreen_reject_footer'), want);
  });
