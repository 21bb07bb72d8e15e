/**
 * What is changed in a message on its last yards: addresses by smtp_generic_maps, in the envelope and the message's own headers, and headers
 * and lines by smtp_header_checks and its sisters.
 *
 * Tables that cannot be asked make the message wait: envelope() then rejects with TableTrouble or ServiceTrouble, and the stream of a
 * content ends with an error, so that the server never sees the end of it.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import type { Configuration } from '../../config/configuration.ts';
import type { DeliveryRequest, Recipient } from '../../ipc/deliver.ts';
import { rewriteService } from '../../ipc/rewrite.ts';
import type { Log } from '../../log/log.ts';
import { quote822Local, unquote822Local } from '../../message/address.ts';
import { rewriteAddressField } from '../../message/header-addresses.ts';
import { checkBody, checkHeader } from '../../message/header-body-checks.ts';
import type { CheckActions, CheckResult, CheckTable, HeaderCheckTables } from '../../message/header-body-checks.ts';
import { headerClass, headerLines, headerNameLength } from '../../message/header.ts';
import type { HeaderClass } from '../../message/header.ts';
import type { HeaderPlace } from '../../message/mime.ts';
import type { Tools } from '../../server/daemon.ts';
import { mapOnce } from '../../tables/address-mapping.ts';
import type { AddressMapping } from '../../tables/address-mapping.ts';
import { addressRules, localDomains } from '../../tables/lists.ts';
import { openMaps } from '../../tables/maps.ts';
import { TableTrouble } from '../../tables/table.ts';
import type { TableContext } from '../../tables/table.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { parseNameMask, type NameTable } from '../../text/name-mask.ts';
import type { ContentHooks } from './downgrade.ts';
import type { RewritingSettings } from './settings.ts';

export class Rewriting {
  private readonly generic: AddressMapping | undefined;
  private readonly headers: HeaderCheckTables | undefined;
  private readonly body: CheckTable | undefined;
  private readonly settings: RewritingSettings;

  constructor(settings: RewritingSettings, { generic, headers, body }: { generic: AddressMapping | undefined; headers: HeaderCheckTables | undefined; body: CheckTable | undefined }) {
    this.settings = settings;
    this.generic = generic;
    this.headers = headers;
    this.body = body;
  }

  /** The request as the server is to see it, with these recipients: new ones, in the same order. */
  envelope(request: DeliveryRequest, recipients: readonly Recipient[], log: Log): MaybePromise<DeliveryRequest> {
    const { generic } = this;
    return generic === undefined ? { ...request, recipients: [...recipients] } : this.mapped(generic, request, recipients, log);
  }

  private async mapped(generic: AddressMapping, request: DeliveryRequest, recipients: readonly Recipient[], log: Log): Promise<DeliveryRequest> {
    const changed: Recipient[] = [];
    for (const recipient of recipients) changed.push({ ...recipient, address: await this.address(recipient.address, log, generic) });
    return { ...request, sender: await this.address(request.sender, log, generic), recipients: changed };
  }

  /** One address, in internal form. */
  async address(address: string, log: Log, generic = this.generic): Promise<string> {
    if (address === '' || generic === undefined) return address;
    return await mapOnce(generic, address, (text) => log.warning(text)) ?? address;
  }

  /** What becomes of headers and lines. */
  content(queueId: string, log: Log): ContentHooks {
    const { headers, body, generic, settings } = this;
    const actions = (prepend: (text: string) => void): CheckActions => ({
      unknown: 'unsupported',
      log: (action, { where, content }, text) => log.info(`${queueId}: ${action}: ${where} ${content.slice(0, 200)}${text === '' ? '' : `: ${text}`}`),
      warn: (text) => log.warning(text),
      prepend,
    });
    const trouble = (what: string): Error => new Error(`${queueId}: ${settings.program} ${what} lookup error`);
    return {
      findsParts: headers !== undefined || body !== undefined,
      pieceLimit: settings.lineLimit,
      header: headers === undefined && generic === undefined ? undefined : (place, kind, field) => {
        const before: string[] = [];
        const checked = headers === undefined ? field : guarded(() => checkHeader(headers, place, kind, field, actions((text) => before.push(text))), trouble('header checks'));
        return chain(checked, (left) => chain(left === undefined ? undefined : this.readdressed(place, kind, left, queueId, log), (last) => ({ before, text: last })));
      },
      body: body === undefined ? undefined : (line, offset) => {
        if (offset >= settings.bodyCheckLimit) return { before: [], text: line };
        const before: string[] = [];
        return chain(guarded(() => checkBody(body, line, actions((text) => before.push(text))), trouble('body checks')), (text) => ({ before, text }));
      },
    };
  }

  private readdressed(place: HeaderPlace, kind: HeaderClass | undefined, field: string, queueId: string, log: Log): MaybePromise<string> {
    const { generic } = this;
    const length = headerNameLength(field);
    const named = kind && length === kind.name.length ? kind : headerClass(field.slice(0, length));
    if (generic === undefined || place !== 'primary' || !named || (!named.sender && !named.recipient)) return field;
    const change = (address: string): MaybePromise<string | undefined> =>
      chain(mapOnce(generic, unquote822Local(address), (text) => log.warning(text)), (found) => (found === undefined ? undefined : quote822Local(found)));
    const rewritten = (): MaybePromise<string> => rewriteAddressField(field, named.name, field.slice(field.indexOf(':') + 1), {
      steps: [change], tokenLimit: this.settings.tokenLimit, warn: (text) => log.warning(`${queueId}: ${text}`),
    });
    // Lines that follow begin with white space, as cleanup(8) has it.
    const laidOut = (): MaybePromise<string> => chain(rewritten(), (text) => (text === field ? field : headerLines(text).join('\n')));
    return guarded(laidOut, new Error(`${queueId}: ${generic.maps.title} lookup error`));
  }
}

/** A table that cannot be asked: an error that says so in Postfix's words. */
function guarded<T extends CheckResult>(ask: () => MaybePromise<T>, trouble: Error): MaybePromise<T> {
  const told = (error: unknown): never => {
    throw error instanceof TableTrouble ? trouble : error;
  };
  try {
    const found = ask();
    return isPending(found) ? found.catch(told) : found;
  } catch (error) {
    return told(error);
  }
}

const extensionWords: NameTable = ['canonical', 'virtual', 'alias', 'forward', 'include', 'generic'].map((word, at) => [word, 1 << at]);
const genericBit = 1 << 5;

function propagatesGeneric(config: Configuration): boolean {
  const parsed = parseNameMask('propagate_unmatched_extensions', extensionWords, config.get('propagate_unmatched_extensions'), { exactCase: true });
  if ('error' in parsed) throw new ConfigurationError(parsed.error, config.origin('propagate_unmatched_extensions'), `the words are ${extensionWords.map(([word]) => word).join(', ')}`);
  return (parsed.mask & genericBit) !== 0;
}

/** Undefined: nothing is ever changed. Opened before root is given up. */
export function openRewriting(settings: RewritingSettings, { config, services, log }: Tools, context: TableContext): Rewriting | undefined {
  const { program } = settings;
  const open = (suffix: string, list: string): CheckTable | undefined => {
    const maps = openMaps(list, context, `${program}_${suffix}`);
    return maps.isEmpty ? undefined : maps;
  };
  const primary = open('header_checks', settings.headerChecks);
  const mime = open('mime_header_checks', settings.mimeHeaderChecks);
  const nested = open('nested_header_checks', settings.nestedHeaderChecks);
  const headers = primary || mime || nested ? { primary, mime, nested } : undefined;
  const body = open('body_checks', settings.bodyChecks);
  const maps = openMaps(settings.genericMaps, context, `${program}_generic_maps`);
  if (maps.isEmpty && !headers && !body) return undefined;
  const rewrite = services.connect(rewriteService, config.get('rewrite_service_name'));
  const generic = maps.isEmpty ? undefined : {
    maps, rules: addressRules(config, localDomains(config, context)), propagates: propagatesGeneric(config),
    complete: (address: string) => chain(rewrite.rewrite({ rule: 'local', address }), (reply) => reply.address),
    warn: (text: string) => log.warning(text),
  };
  return new Rewriting(settings, { generic, headers, body });
}
