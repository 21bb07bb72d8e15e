/**
 * The same mail through Debian's cleanup(8) and ours with the same tables: queue files, answers and log lines are the same, record by record. First the
 * cases of address-cases.ts, then mail, tables and settings made up by rule from a fixed seed. POSTFIX_DAEMONS names another build of Postfix.
 */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { noDebianPostfix } from '../debian-postfix.ts';
import { addressCases, morefiles } from './address-cases.ts';
import { playPair, type Outcome, type PairResult } from './cleanup-pair.ts';
import { randomFiles, randomMails } from './random-mail.ts';

const skip = noDebianPostfix();
// No queue manager gives back what in_flow_delay counts; reports to the postmaster are smtpd's.
const mainCf = 'in_flow_delay = 0\nnotify_classes =\n';
const random = randomMails(Number(process.env['PAIR_SEED'] ?? 7), Number(process.env['PAIR_COUNT'] ?? 40));
let results: Map<string, PairResult> = new Map();
before(async () => { if (!skip) results = await playPair([...addressCases, ...random], { files: { ...morefiles, ...randomFiles }, mainCf }); });

/**
 * Postfix before 3.8 has no word for a message that it takes away. And it says what is wrong with an address literal whenever it looks one up; we do not.
 */
function comparable(outcome: Outcome): Outcome {
  const saysRemoved = [...results.values()].some(({ theirs }) => theirs.log.some((line) => line.includes(': removed (')));
  return { ...outcome, log: outcome.log.filter((line) => !/ valid_ipv[46]_hostaddr: /.test(line) && (saysRemoved || !line.includes(': removed ('))) };
}

for (const { name, sender, recipients, message } of [...addressCases, ...random]) {
  test(name, { skip }, () => {
    const { ours, theirs } = results.get(name)!;
    assert.deepEqual(comparable(ours), comparable(theirs), JSON.stringify({ sender, recipients, message }));
  });
}
