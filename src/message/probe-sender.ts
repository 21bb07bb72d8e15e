/**
 * The sender of address probes (address_verify_sender), with a part that changes with time when address_verify_sender_ttl says so:
 * behind the local part, without a separator, so that the address cannot be taken for one with an extension.
 */
import { foldCase } from '../text/utf8.ts';

export interface ProbeSenderRules {
  /** address_verify_sender */
  readonly sender: string;
  /** address_verify_sender_ttl, seconds; 0: the sender stays the same. */
  readonly life: number;
}

/** Digits without vowels: a number makes no words. Postfix counts in base 31 with them. */
const digits = '0123456789BCDFGHJKLMNPQRSTVWXYZ';
const base = digits.length;

function inDigits(value: number): string {
  let text = '';
  for (let left = value; left > 0; left = Math.floor(left / base)) text = digits[left % base] + text;
  return text;
}

/** NaN: other characters, or more of them than any time has. */
function fromDigits(text: string): number {
  let value = 0;
  for (const digit of text) {
    const at = digits.indexOf(digit);
    if (at < 0 || value > Number.MAX_SAFE_INTEGER / base - 1) return Number.NaN;
    value = value * base + at;
  }
  return value;
}

function isNull(sender: string): boolean {
  return sender === '' || sender === '<>';
}

/** What is wrong with address_verify_sender; undefined: nothing. */
export function probeSenderTrouble(sender: string): string | undefined {
  if (sender.startsWith('@')) return `parameter address_verify_sender: value "${sender}" must not start with '@'`;
  if (sender.indexOf('@') === sender.length - 1 && sender !== '') return `parameter address_verify_sender: value "${sender}" must not end with '@'`;
  return undefined;
}

/** The sender of a probe that is sent now (seconds since the epoch), not yet in full form; '' is the null sender. */
export function probeSender({ sender, life }: ProbeSenderRules, now: number): string {
  if (isNull(sender)) return '';
  if (life === 0) return sender;
  const at = sender.indexOf('@');
  const end = at < 0 ? sender.length : at;
  return sender.slice(0, end) + inDigits(Math.floor(now / life)) + sender.slice(end);
}

/**
 * Is this the sender of probes of ours, or of hosts that share the setting, now or one turn earlier or later?
 * `full`: the setting in full form; `address` in internal form.
 */
export function isProbeSender(address: string, full: string, { sender, life }: ProbeSenderRules, now: number): boolean {
  if (isNull(sender)) return address === '';
  const [local, domain] = halves(full);
  const [theirLocal, theirDomain] = halves(address);
  if (foldCase(theirDomain) !== foldCase(domain) || foldCase(theirLocal.slice(0, local.length)) !== foldCase(local)) return false;
  const stamp = theirLocal.slice(local.length);
  if (life === 0) return stamp === '';
  return stamp !== '' && Math.abs(fromDigits(stamp) - Math.floor(now / life)) <= 1;
}

/** Before the first `@`, and from it on. */
function halves(address: string): [local: string, domain: string] {
  const at = address.indexOf('@');
  return at < 0 ? [address, ''] : [address.slice(0, at), address.slice(at)];
}
