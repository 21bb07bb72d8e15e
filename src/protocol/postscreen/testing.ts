/** For tests: a session of postscreen with settings of the test's own, and a clock that the test moves. */
import { forbiddenByDefault } from '../smtp-server/settings.ts';
import { Screening } from './screening.ts';
import type { ScreenSettings } from './settings.ts';
import { newClient, Progress, stamp, type ClientRecord } from './stamps.ts';

export const start = 1_700_000_000;

export const settings = (own: Partial<ScreenSettings> = {}, clock: { now: number } = { now: 0 }): ScreenSettings => ({
  myhostname: 'mx.test', banner: 'mx.test ESMTP', teaser: 'mx.test ESMTP', enabled: 1, greetWait: { normal: 6, stress: 2 }, greetTtl: 86_400, greetAction: 'enforce',
  dnsblAction: 'enforce', dnsblThreshold: 1, dnsblAllowThreshold: 0, dnsblMinTtl: 60, dnsblMaxTtl: 3600, pipeliningTtl: 1000, pipeliningAction: 'enforce',
  nonSmtpTtl: 2000, nonSmtpAction: 'drop', bareNewlineTtl: 3000, bareNewlineAction: 'ignore', commandTime: { normal: 300, stress: 10 }, commandCountLimit: 20,
  lineLengthLimit: 2048, messageSizeLimit: 1000, heloRequired: false, hidesVrfy: false, disablesVrfy: false, smtputf8: true, softBounce: false, delayDigits: 2,
  discardedKeywords: new Set(), tls: { isUsed: false, isRequired: false, isReady: () => false, isRefused: () => false }, logsQuoted: true,
  isStressed: () => false, seconds: () => start + Math.floor(clock.now / 1000), isForbiddenCommand: forbiddenByDefault,
  filterCommand: () => undefined, discardsFor: () => undefined, footer: () => '',
  ...own,
});

export class Bench {
  readonly clock = { now: 0 };
  readonly machine: Screening;
  readonly record: ClientRecord;
  readonly progress = new Progress();
  sent = '';
  readonly logged: string[] = [];
  /** Kinds of other steps, in order; what is saved with its text. */
  readonly done: string[] = [];

  constructor(own: Partial<ScreenSettings> = {}, record = newClient()) {
    const all = settings(own, this.clock);
    this.record = record;
    record.stamps.fill(stamp.never);
    this.progress.plan(record.stamps, all.enabled, 1);
    this.machine = new Screening(all, { address: '192.0.2.1', port: '4711' }, record, this.progress, 0);
  }

  begin(): this {
    this.machine.begin();
    return this.drain();
  }

  say(text: string | Buffer): this {
    this.machine.expire(this.clock.now);
    this.machine.receive(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    return this.drain();
  }

  /** Time passes, and timers with it. */
  pass(seconds: number): this {
    const end = this.clock.now + seconds * 1000;
    for (let due = this.machine.deadline(); due !== undefined && due <= end; due = this.machine.deadline()) {
      this.clock.now = Math.max(due, this.clock.now);
      this.machine.expire(this.clock.now);
      this.drain();
    }
    this.clock.now = end;
    this.machine.expire(end);
    return this.drain();
  }

  /** What was sent since the last look. */
  heard(): string {
    const { sent } = this;
    this.sent = '';
    return sent;
  }

  drain(): this {
    for (let step = this.machine.next(); step !== undefined; step = this.machine.next()) {
      if (step.kind === 'send') this.sent += step.bytes;
      else if (step.kind === 'log') this.logged.push(step.text);
      else this.done.push(step.kind === 'save' ? `save ${step.entry}` : step.kind === 'hand-over' ? `hand-over ${step.unread}` : step.kind);
    }
    return this;
  }
}
