/**
 * Configurations as people have them - Debian's own files, and what groupware in containers, mail containers and web panels with
 * mailing lists write - load without a complaint, and our postconf says of them what the real one says.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { parseMainCf } from '../../src/config/main-cf.ts';
import { parseMasterCf } from '../../src/config/master-cf.ts';
import { checkPipeArguments } from '../../src/config/pipe-arguments.ts';
import { splitFamilyName } from '../../src/parameters/families.ts';
import { cardOf, type ParameterName } from '../../src/parameters/parameters.ts';
import { earlier, noRealPostconf, PostconfPair, realHas } from '../postconf-pair.ts';

interface Files { readonly mainCf: string; readonly masterCf: string }

const here = (name: string): string => readFileSync(new URL(`configurations/${name}`, import.meta.url), 'latin1');
const own = (name: string): Files => ({ mainCf: here(`${name}.main.cf`), masterCf: here(`${name}.master.cf`) });

const debian = '/usr/share/postfix';
const ofDebian = existsSync(`${debian}/main.cf.debian`);
const read = (name: string): string => (ofDebian ? readFileSync(`${debian}/${name}`, 'latin1') : '');

const configurations: readonly (readonly [title: string, files: Files, skip: string | false])[] = [
  ['groupware in containers', own('groupware'), false],
  ['a mail container', own('container'), false],
  ['a panel with mailing lists', own('lists'), false],
  ["Debian's main.cf and master.cf", { mainCf: read('main.cf.debian') + read('main.cf.tls'), masterCf: read('master.cf.dist') }, !ofDebian && "Debian's postfix is not installed"],
  ["Debian's annotated main.cf", { mainCf: read('main.cf.dist'), masterCf: '' }, !ofDebian && "Debian's postfix is not installed"],
];

for (const [title, { mainCf, masterCf }, skip] of configurations) {
  test(`${title}: every line is understood`, { skip }, () => {
    const warnings: string[] = [];
    const settings = parseMainCf(withoutTemplates(mainCf), 'main.cf', (text) => warnings.push(text));
    assert.deepEqual(warnings.filter((text) => !text.includes('overriding earlier entry')), []);
    assert.ok(settings.size > 0);
    const master = parseMasterCf(masterCf, 'master.cf', { warn: assert.fail });
    assert.deepEqual(master.troubles, []);
    assert.deepEqual(master.rows.flatMap(checkPipeArguments), []);
    const common = new Configuration('/etc/postfix', settings);
    for (const configuration of [common, ...master.rows.map(({ overrides }) => common.withOverrides(overrides))]) check(configuration, settings.keys());
  });

  test(`${title}: postconf`, { skip: skip || noRealPostconf }, async () => {
    const place = new PostconfPair(withoutTemplates(mainCf), masterCf);
    const options = ['-n', '-nxf', '-M', '-Mxf', '-F', '-Fx', '-P', '-Px', '-C user', ...(realHas(11) ? ['-nj', '-Mj', '-Pj'] : [])];
    for (const option of options) {
      const argv = option.split(' ');
      assert.deepEqual(earlier(await place.ours(...argv)), earlier(await place.theirs(...argv)), option);
    }
  });
}

// Debian's scripts put values where `__NAME__` stands.
function withoutTemplates(text: string): string {
  return text.replaceAll(/__[A-Z]+__/g, 'x.test');
}

function check(configuration: Configuration, names: Iterable<string>): void {
  for (const name of names) {
    if (configuration.text(name) === '') continue; // Debian's annotated file has names without values
    if (cardOf(name)) configuration.get(name as ParameterName);
    else configuration.text(name);
    const member = splitFamilyName(name);
    if (member && !cardOf(name)) configuration.transport(member.transport, member.suffix);
  }
}

test('the groupware sets more than a hundred parameters', () => {
  assert.ok(parseMainCf(own('groupware').mainCf, 'main.cf', assert.fail).size > 110);
});
