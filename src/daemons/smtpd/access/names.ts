/**
 * Questions to the name service as restrictions ask them: several record types of one name, and names in other scripts.
 *
 * Never rejects. Types of one group are asked at the same time.
 */
import type { Dns, DnsAnswer, DnsRecord, DnsStatus, RecordType } from '../../../network/dns.ts';
import { domainToAscii } from '../../../network/idna.ts';
import { isAscii } from '../../../text/ascii.ts';
import type { AccessSetup, Outside } from './setup.ts';
import type { AccessState } from './state.ts';

/** Of several answers the one with the most to say counts. */
const rank: readonly DnsStatus[] = ['not-found', 'null-srv', 'null-mx', 'fail', 'invalid', 'retry', 'policy', 'ok'];

export interface NameAnswer {
  readonly status: DnsStatus;
  readonly records: readonly DnsRecord[];
  readonly reason: string;
}

/** Asks group after group until an answer has a status of `stops`; `ok` is always one. */
export async function lookUpName(dns: Dns, name: string, groups: readonly (readonly RecordType[])[], stops: readonly DnsStatus[] = []): Promise<NameAnswer> {
  let best: NameAnswer = { status: 'not-found', records: [], reason: '' };
  for (const types of groups) {
    const answers = await Promise.all(types.map((type) => dns.lookup(name, type)));
    for (const answer of answers) {
      if (answer.status === 'ok' || stops.includes(answer.status)) return answer;
      if (rank.indexOf(answer.status) >= rank.indexOf(best.status)) best = answer;
    }
  }
  return best;
}

/** The form the name service knows; a name that has none stays as it is, and will not be found. */
export function asciiName(name: string): string {
  if (isAscii(name)) return name;
  const translated = domainToAscii(name);
  return 'ascii' in translated ? translated.ascii : name;
}

/** What restrictions need to ask others is there in every daemon. */
export function outside({ outside: found }: AccessSetup): Outside {
  if (found === undefined) throw new Error('restrictions that ask others need `outside`');
  return found;
}

/** Answers worked out for one session; a client that makes up names without end fills no more than this. */
const rememberedAnswers = 100;

/** The same question of the same session is answered once. */
export function remembered<T>(state: AccessState, question: string, find: () => Promise<T>): Promise<T> {
  const answers = (state.answers ??= new Map<string, unknown>());
  const known = answers.get(question) as Promise<T> | undefined;
  if (known !== undefined) return known;
  const answer = find();
  if (answers.size >= rememberedAnswers) answers.delete(answers.keys().next().value!);
  answers.set(question, answer);
  return answer;
}

/** Why there is no answer, in the C library's words. */
export function troubleText({ status, reason }: Pick<DnsAnswer, 'status' | 'reason'>): string {
  return status === 'policy' ? 'DNS reply filter policy' : reason.replace(/^.* type=[A-Z]+: /, '');
}
