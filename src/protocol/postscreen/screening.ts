/**
 * One session of postscreen(8): the tests before the greeting, the dummy SMTP engine where it is needed, and the way out, to the SMTP
 * server or back to where the client came from.
 *
 * A machine that is driven by a pump (machine.ts). Whether the client may be tested at all (limits, lists, what is remembered) was
 * decided before; `begin` says how that went. Log lines are Postfix's, word for word.
 */
import { renderDelay, timeValue } from '../../text/time.ts';
import type { Machine } from '../machine.ts';
import { escapeBytes } from '../smtp-server/escape.ts';
import { Engine, type EngineHost } from './engine.ts';
import type { Score, Tally } from './lists.ts';
import { softened, withFooter } from './replies.ts';
import type { Action, Client, ScreenSettings } from './settings.ts';
import { allTests, deepTests, earlyTests, Progress, renderStamps, setStamp, tests, type ClientRecord } from './stamps.ts';
import type { ScreenStep } from './steps.ts';

/** Bytes before the greeting that are counted, and characters of them that are logged. */
const countedBytes = 1023;
const shownText = 100;
const nothing = Buffer.alloc(0);

const phases = { early: 'tests before SMTP handshake', deep: 'tests after SMTP handshake' } as const;

export class Screening implements Machine<ScreenStep>, EngineHost {
  readonly settings: ScreenSettings;
  readonly client: Client;
  readonly record: ClientRecord;
  readonly progress: Progress;
  readonly #engine: Engine;
  readonly #steps: ScreenStep[] = [];
  #phase: 'none' | 'early' | 'deep' | 'over' = 'none';
  #now: number;
  /** When the present phase began, and when patience ends: milliseconds. */
  #began: number;
  #deadline: number | undefined;
  /** What the client said before its turn. */
  #unread: Buffer = nothing;
  #tally: Tally | undefined;
  #score: Score | undefined;
  #asksLists = false;
  #hasEnded = false;

  /** @param now milliseconds, on the scale of `expire` */
  constructor(settings: ScreenSettings, client: Client, record: ClientRecord, progress: Progress, now: number) {
    this.settings = settings;
    this.client = client;
    this.record = record;
    this.progress = progress;
    this.#now = this.#began = now;
    this.#engine = new Engine(this);
  }

  get label(): string {
    return `[${this.client.address}]:${this.client.port}`;
  }

  // ---- how a session begins

  /** The tests that are due. */
  begin(): void {
    const { todo, staysHere } = this.progress;
    if ((todo & earlyTests) !== 0) this.#beginEarly();
    else if ((todo & deepTests) !== 0 || staysHere) this.#beginDeep();
    else this.conclude();
  }

  /** Not let in, and told so. */
  drop(reply: string): void {
    this.#engine.finalReply = reply;
    this.progress.staysHere = true;
    this.conclude();
  }

  /** Recipients are refused with this reply, whatever the client does. */
  enforce(reply: string): void {
    this.#engine.recipientReply = reply;
    this.progress.staysHere = true;
  }

  /** The SMTP server cannot be had. A client that has not heard anything yet is heard first. */
  expel(reply: string, greets: boolean): void {
    if (!greets) {
      this.say(reply);
      return this.#close();
    }
    this.#engine.finalReply = reply;
    this.progress.isExpelled = true;
    this.#beginDeep();
  }

  // ---- what happens

  receive(bytes: Buffer): void {
    if (this.#phase === 'early') this.#spokeEarly(bytes);
    else if (this.#phase === 'deep' && this.#engine.receive(bytes)) this.#moreTime();
  }

  end(): void {
    if (this.#hasEnded || this.#phase === 'over') return;
    this.#hasEnded = true;
    const { early, deep } = phases;
    this.progress.hasHungUp = true;
    this.log(`HANGUP after ${this.#elapsed()} from ${this.label} in ${this.#phase === 'early' ? early : deep}`);
    this.progress.staysHere = true;
    this.conclude();
  }

  expire(now: number): void {
    this.#now = now;
    if (this.#deadline === undefined || now < this.#deadline) return;
    this.#deadline = undefined;
    if (this.#phase === 'early') this.#endEarly();
    else if (this.#phase === 'deep') this.#engine.expire();
  }

  deadline(): number | undefined {
    return this.#deadline;
  }

  get wantsInput(): boolean {
    if (this.#phase === 'deep') return true;
    return this.#phase === 'early' && this.progress.is('todo', tests.pregreet) && this.#unread.length === 0;
  }

  next(): ScreenStep | undefined {
    return this.#steps.shift();
  }

  /** The lists were asked; `tally` grows as they answer. */
  asked(tally: Tally): void {
    this.#tally = tally;
  }

  /** All lists have answered. */
  scored(): void {
    if (this.#phase !== 'early' || this.#score !== undefined) return;
    this.#takeScore();
    this.progress.done |= tests.dnsbl;
    if (this.#isEarlyDone) this.#endEarly();
  }

  /** The handshake went well, or not. */
  secured(isEncrypted: boolean): void {
    if (!isEncrypted) return this.end();
    this.progress.isEncrypted = true;
    this.#engine.secured();
    this.#moreTime();
  }

  /** The mail system stops. */
  shutDown(): void {
    if (this.#phase === 'early' || this.#phase === 'deep') this.drop('421 4.3.2 Service currently unavailable');
  }

  get isOver(): boolean {
    return this.#phase === 'over';
  }

  // ---- before the greeting

  #beginEarly(): void {
    const { settings, progress } = this;
    this.#enter('early', settings.greetWait);
    if (progress.is('todo', tests.pregreet) && settings.teaser !== '') this.#send(`220-${settings.teaser}`);
    if (!progress.is('todo', tests.dnsbl)) return;
    this.#asksLists = true;
    this.#steps.push({ kind: 'ask-lists' });
  }

  #spokeEarly(bytes: Buffer): void {
    if (this.#unread.length > 0) {
      this.#unread = Buffer.concat([this.#unread, bytes]);
      return;
    }
    this.#unread = bytes;
    const count = Math.min(bytes.length, countedBytes);
    const text = escapeBytes(bytes.toString('latin1', 0, count)).slice(0, shownText);
    this.log(`PREGREET ${count} after ${this.#elapsed()} from ${this.label}: ${text}`);
    this.progress.failed |= tests.pregreet;
    const { greetAction } = this.settings;
    if (greetAction === 'drop') return this.drop('521 5.5.1 Protocol error');
    if (greetAction === 'enforce') this.enforce('550 5.5.1 Protocol error');
    this.progress.done |= tests.pregreet;
    if (this.#isEarlyDone) this.#endEarly();
  }

  get #isEarlyDone(): boolean {
    return (this.progress.done & earlyTests) === (this.progress.todo & earlyTests);
  }

  #endEarly(): void {
    const { settings, progress, record } = this;
    if (progress.is('todo', tests.pregreet) && !progress.is('failed', tests.pregreet) && !progress.is('done', tests.pregreet)) {
      setStamp(record.stamps, tests.pregreet, settings.seconds() + settings.greetTtl);
      progress.passed |= tests.pregreet;
    }
    // Not a pass: it is tested again the next time.
    if (progress.is('failed', tests.pregreet) && settings.greetAction === 'ignore') progress.failed &= ~tests.pregreet;
    if (progress.is('todo', tests.dnsbl) && !this.#judgeScore()) return;
    if (progress.staysHere || (progress.passed & deepTests) !== (progress.todo & deepTests)) this.#beginDeep();
    else this.conclude();
  }

  /** As it is now: some lists may not have answered. */
  #takeScore(): Score {
    const { settings } = this;
    const score = this.#tally?.score(settings.dnsblMinTtl, settings.dnsblMaxTtl) ?? { total: 0, name: '', ttl: settings.dnsblMinTtl };
    this.#score = score;
    this.#forgetLists();
    if (settings.dnsblAllowThreshold < 0) this.#allowByScore(score);
    return score;
  }

  #forgetLists(): void {
    if (!this.#asksLists) return;
    this.#asksLists = false;
    this.#steps.push({ kind: 'forget-lists' });
  }

  /** Enough good word of others stands for all other tests. */
  #allowByScore({ total, ttl }: Score): void {
    const { settings, progress, record } = this;
    if (progress.hasFailed || total >= settings.dnsblThreshold || total > settings.dnsblAllowThreshold) return;
    const until = settings.seconds() + ttl;
    for (const [at, test] of allTests.entries()) {
      if (test === tests.dnsbl) continue;
      if (progress.is('todo', test) && !progress.is('passed', test)) {
        progress.done |= test;
        progress.passed |= test;
      }
      if (record.stamps[at]! < until) record.stamps[at] = until;
    }
  }

  /** False: the session is over. */
  #judgeScore(): boolean {
    const { settings, progress, record } = this;
    const score = this.#score ?? this.#takeScore();
    if (score.total < settings.dnsblThreshold) {
      setStamp(record.stamps, tests.dnsbl, settings.seconds() + score.ttl);
      progress.passed |= tests.dnsbl;
      return true;
    }
    this.log(`DNSBL rank ${score.total} for ${this.label}`);
    return this.#refuseListed(settings.dnsblAction, score.name);
  }

  #refuseListed(action: Action, list: string): boolean {
    const { progress } = this;
    const refusal = (code: number): string => `${code} 5.7.1 Service unavailable; client [${this.client.address}] blocked using ${list}`;
    if (action === 'ignore') return true;
    progress.failed |= tests.dnsbl;
    if (action === 'drop') this.drop(refusal(521));
    else this.enforce(refusal(550));
    return action !== 'drop';
  }

  // ---- behind it

  #beginDeep(): void {
    const { settings, progress } = this;
    this.#enter('deep', settings.commandTime);
    if (progress.isExpelled) progress.todo &= ~deepTests;
    // Of a client that has failed already everything is worth knowing.
    else if (progress.hasFailed) progress.todo |= deepTests;
    // Whoever did not wait for a greeting gets none: what it says next would only be taken for something else.
    if (!progress.is('failed', tests.pregreet)) this.#send(`220 ${settings.banner}`);
    const early = this.#unread;
    this.#unread = nothing;
    if (early.length > 0) this.receive(early);
  }

  startTls(): void {
    this.say('220 2.0.0 Ready to start TLS');
    this.#steps.push({ kind: 'start-tls' });
  }

  // ---- the end

  /** Says what came of it, remembers it, and lets the client go on or go. */
  conclude(): void {
    const { progress, settings, record } = this;
    if (this.#phase === 'over') return;
    this.#forgetLists();
    if (progress.hasFailed) progress.passed = 0;
    if (progress.passed !== 0 && progress.passed === progress.todo) {
      const isOld = !progress.isNew || record.passedNew++ > 0;
      this.log(`PASS ${isOld ? 'OLD' : 'NEW'} ${this.label}`);
    }
    if (progress.passed !== 0) this.#steps.push({ kind: 'save', entry: renderStamps(record.stamps, settings.enabled) });
    this.#deadline = undefined;
    if (!progress.staysHere) {
      this.#phase = 'none';
      this.#steps.push({ kind: 'hand-over', unread: this.#unread });
      return;
    }
    if (!progress.hasHungUp) this.say(this.#engine.finalReply);
    this.log(`DISCONNECT ${this.label}`);
    this.#close();
  }

  /** Replies without their last end of line. */
  say(reply: string): void {
    const { settings } = this;
    const isRefusal = reply.startsWith('4') || reply.startsWith('5');
    const footer = isRefusal ? settings.footer(reply, this.client) : '';
    this.#send(withFooter(settings.softBounce ? softened(reply) : reply, footer));
  }

  log(text: string): void {
    this.#steps.push({ kind: 'log', text });
  }

  #close(): void {
    this.#phase = 'over';
    this.#deadline = undefined;
    this.#steps.push({ kind: 'close' });
  }

  #send(text: string): void {
    this.#steps.push({ kind: 'send', bytes: `${text}\r\n` });
  }

  #enter(phase: 'early' | 'deep', patience: ScreenSettings['greetWait']): void {
    this.#phase = phase;
    this.#began = this.#now;
    this.#deadline = this.#now + this.#patience(patience);
  }

  #moreTime(): void {
    if (this.#phase === 'deep') this.#deadline = this.#now + this.#patience(this.settings.commandTime);
  }

  #patience({ normal, stress }: ScreenSettings['greetWait']): number {
    return 1000 * (this.settings.isStressed() ? stress : normal);
  }

  #elapsed(): string {
    return renderDelay(timeValue(Math.max(this.#now - this.#began, 0)), 2, this.settings.delayDigits);
  }
}
