/**
 * postfix upgrade-configuration: what a main.cf and master.cf of an older release lack, added; what has changed its form, changed.
 *
 * Each edit is told on standard output and made in one step; a second run finds nothing to do. Trouble is a fatal line, status 1.
 */
import { editFile } from '../postconf/atomic-edit.ts';
import { errorText } from '../../host/libc.ts';
import { readConfigurationFile } from '../../config/main-cf.ts';
import { createMissing } from './create-missing.ts';
import { print, type Situation } from './situation.ts';
import { upgradeMaster } from './upgrade-master.ts';
import { runPostconf } from '../within.ts';

export async function upgradeConfiguration(situation: Situation): Promise<number> {
  const trouble = createMissing(situation.config, situation.queueDirectory);
  if (trouble !== undefined) situation.log.fatal(trouble);
  const file = `${situation.config.directory}/master.cf`;
  const { said } = upgradeMaster(readConfigurationFile(file));
  if (said.length > 0) {
    try {
      editFile(file, (current) => upgradeMaster(current).text);
    } catch (error) {
      situation.log.fatal(`edit ${file}: ${error instanceof Error && !('code' in error) ? error.message : errorText(error)}`);
    }
  }
  for (const what of said) print(situation, `Editing ${file}, ${what}\n`);
  return upgradeMain(situation);
}

async function upgradeMain(situation: Situation): Promise<number> {
  const { config } = situation;
  const names = config.get('hash_queue_names');
  // As Postfix looks: a name within another is one.
  const missing = [/defer/, /deferred/].map((name, index) => (name.test(names) ? '' : ['defer', 'deferred'][index]!)).filter((name) => name !== '');
  if (missing.length > 0) {
    print(situation, `fixing main.cf hash_queue_names for missing ${missing.join(' ')}\n`);
    if (await set(situation, `hash_queue_names=${[config.written('hash_queue_names'), ...missing].join(' ')}`) !== 0) return 1;
  }
  if (config.settings.has('inet_protocols') && config.settings.get('inet_protocols')!.value !== '') return 0;
  print(situation, `    COMPATIBILITY: editing ${config.directory}/main.cf, setting inet_protocols=ipv4.
    To use IPv6 as well, write "inet_protocols = all".
`);
  return set(situation, 'inet_protocols=ipv4');
}

async function set({ config, stderr }: Situation, setting: string): Promise<number> {
  return (await runPostconf(config.directory, ['-q', setting], { stderr })).status;
}
