import assert from 'node:assert/strict';
import test from 'node:test';
import { Maps } from '../../tables/maps.ts';
import type { TableContext } from '../../tables/table.ts';
import { renderReply } from '../../protocol/smtp-server/reply.ts';
import { bench, tableOf } from './access/testing.ts';
import { createReplyEditor } from './refusal-text.ts';

const maps = (title: string, entries: Record<string, string>): Maps =>
  new Maps(title, Object.keys(entries).length === 0 ? [] : [tableOf(title, entries)], { warn: () => undefined } as unknown as TableContext);

const denied = { code: 554, status: '5.7.1', text: 'no' } as const;

for (const [name, reply, filter, footers, footer, want] of [
  ['a footer', denied, {}, {}, 'ask us', '554-5.7.1 no\r\n554 5.7.1 ask us\r\n'],
  ['lines of a footer', denied, {}, {}, 'ask\\n$server_name', '554-5.7.1 no\r\n554-5.7.1 ask\r\n554 5.7.1 mx.example.org\r\n'],
  ['a footer that goes on', denied, {}, {}, '\\c; ask', '554 5.7.1 no; ask\r\n'],
  ['no status, none in the footer', { code: 501, text: 'Syntax' }, {}, {}, 'ask', '501-Syntax\r\n501 ask\r\n'],
  ['what is no refusal stays', { code: 250, status: '2.0.0', text: 'Ok' }, {}, {}, 'ask', '250 2.0.0 Ok\r\n'],
  ['a footer by the reply', denied, {}, { '554 5.7.1 no': 'special' }, 'ask', '554-5.7.1 no\r\n554 5.7.1 special\r\n'],
  ['a filter', denied, { '554 5.7.1 no': '450 4.2.0 later' }, {}, '', '450 4.2.0 later\r\n'],
  ['a filter, then a footer', denied, { '554 5.7.1 no': '421 bye' }, {}, 'ask', '421-bye\r\n421 ask\r\n'],
  ['a filter with lines', denied, { '554 5.7.1 no': '550-5.7.1 one\r\n550 5.7.1 two' }, {}, '', '550-5.7.1 one\r\n550 5.7.1 two\r\n'],
  ['a filter that would accept', denied, { '554 5.7.1 no': '250 2.0.0 Ok' }, {}, 'ask', '554-5.7.1 no\r\n554 5.7.1 ask\r\n'],
  ['a filter with a status of another class', denied, { '554 5.7.1 no': '450 5.7.1 no' }, {}, 'ask', '554-5.7.1 no\r\n554 5.7.1 ask\r\n'],
] as const) {
  test(`refusals: ${name}`, () => {
    const { setup, state } = bench();
    const edit = createReplyEditor({
      filter: maps('filter', filter), footers: maps('footers', footers), footer, warn: () => undefined, expand: (template) => setup.outside!.expand(template, state, new Map()),
    });
    assert.equal(renderReply(edit!(reply, state)), want);
  });
}

test('without any of it nothing is done', () => {
  assert.equal(createReplyEditor({ filter: maps('filter', {}), footers: maps('footers', {}), footer: '', warn: () => undefined, expand: () => '' }), undefined);
});
