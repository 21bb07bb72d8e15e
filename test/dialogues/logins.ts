/** Stands in for the authentication server when dialogues are played on the machine alone: PLAIN and LOGIN, for the stage's users. */
import { say, tell } from '../../src/protocol/smtp-server/reply.ts';
import type { Reply, Verdict } from '../../src/protocol/smtp-server/steps.ts';
import { passwords } from './stage.ts';

const refuse = (refusal: Reply): Verdict => ({ accept: false, reply: refusal });
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const decoded = (text: string): string => Buffer.from(text, 'base64').toString('latin1');
const unknown = '(reason unavailable)';

export class Logins {
  readonly #own: ReadonlyMap<string, string>;
  #isEncrypted = false;
  #isLoggedIn = false;
  /** What the answers so far were. */
  #said: string[] = [];
  #mechanism = '';

  constructor(own: ReadonlyMap<string, string>) {
    this.#own = own;
  }

  offer(verdict: Verdict): Verdict {
    const isServed = this.#own.get('smtpd_sasl_auth_enable') === 'yes' && (this.#isEncrypted || this.#own.get('smtpd_tls_auth_only') !== 'yes');
    return verdict.accept && isServed ? { ...verdict, mechanisms: 'PLAIN LOGIN CRAM-MD5' } : verdict;
  }

  secured(): Verdict {
    this.#isEncrypted = true;
    this.#isLoggedIn = false;
    return { accept: true };
  }

  begin(objection: Reply | undefined, mechanism: string | undefined, initial: string | undefined): Verdict {
    if (objection !== undefined) return refuse(objection);
    if (this.#isLoggedIn) return refuse(say.alreadyLoggedIn);
    if (mechanism === undefined) return refuse(say.authSyntax);
    this.#mechanism = mechanism.toUpperCase();
    this.#said = [];
    if (this.#mechanism !== 'PLAIN' && this.#mechanism !== 'LOGIN') return refuse(tell.authFailed(`Invalid authentication mechanism: '${mechanism}'`));
    return initial === undefined ? this.#more() : this.#take(initial, 'initial');
  }

  respond(response: string | undefined): Verdict {
    if (response === undefined) return refuse(say.longResponse);
    return response === '*' ? refuse(say.authAborted) : this.#take(response, 'continued');
  }

  #take(text: string, which: string): Verdict {
    if (!/^[A-Za-z0-9+/=]*$/.test(text)) return refuse(tell.authFailed(`Invalid base64 data in ${which} response`));
    this.#said.push(decoded(text));
    return this.#mechanism === 'LOGIN' && this.#said.length < 2 ? this.#more() : this.#judge();
  }

  #more(): Verdict {
    return { accept: true, challenge: this.#mechanism === 'PLAIN' ? '' : base64(this.#said.length === 0 ? 'Username:' : 'Password:') };
  }

  #judge(): Verdict {
    const [name = '', password = ''] = this.#mechanism === 'LOGIN' ? this.#said : this.#said[0]!.split('\0').slice(1);
    if (!Object.hasOwn(passwords, name) || passwords[name] !== password) return refuse(tell.authFailed(unknown));
    this.#isLoggedIn = true;
    return { accept: true };
  }
}
