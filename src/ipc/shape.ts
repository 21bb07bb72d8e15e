/**
 * How a request or a reply of an internal service looks on the wire, and its codec.
 *
 * The wire form is Postfix's: `name NUL value NUL` for each attribute in the declared order, then one empty name. A shape is
 * declared once per service; the TypeScript type and both directions of the codec derive from it. Text is a byte string.
 * Bad input is answered with a `ShapeTrouble`, incomplete input with undefined: the caller closes or waits.
 */
export type Field = 'text' | 'number' | 'flag' | Shape | readonly [Shape];
export interface Shape { readonly [name: string]: Field }

type FieldValue<F> =
  F extends 'text' ? string :
  F extends 'number' ? number :
  F extends 'flag' ? boolean :
  F extends readonly [infer S extends Shape] ? ShapeValue<S>[] :
  F extends Shape ? ShapeValue<F> : never;

export type ShapeValue<S extends Shape> = { -readonly [K in keyof S]: FieldValue<S[K]> };

/** The peer does not speak the declared protocol. */
export class ShapeTrouble extends Error {}

/** Most elements one list may have on the wire; a qmgr request never holds more recipients than this. */
export const listLimit = 1_000_000;

const nul = '\0';

/** A value may not hold the separator; what a stranger put there becomes a question mark, as in a log line. */
export function clean(text: string): string {
  return text.includes(nul) ? text.replaceAll(nul, '?') : text;
}

function isList(field: Field): field is readonly [Shape] {
  return Array.isArray(field);
}

/** A field as both directions use it: looked at once per shape, not once per message. */
interface Step {
  readonly name: string;
  /** The name with its NUL. */
  readonly lead: string;
  readonly kind: 'text' | 'number' | 'flag' | 'list' | 'fields';
  /** Of the elements of a list, or the fields inside. */
  readonly inner: Shape;
}

const plans = new WeakMap<Shape, readonly Step[]>();

function planOf(shape: Shape): readonly Step[] {
  const known = plans.get(shape);
  if (known !== undefined) return known;
  const plan = Object.entries(shape).map(([name, field]): Step => {
    const lead = name + nul;
    if (typeof field === 'string') return { name, lead, kind: field, inner: {} };
    return isList(field) ? { name, lead, kind: 'list', inner: field[0] } : { name, lead, kind: 'fields', inner: field };
  });
  plans.set(shape, plan);
  return plan;
}

function encodeFields(shape: Shape, value: Record<string, unknown>): string {
  let out = '';
  for (const { name, lead, kind, inner } of planOf(shape)) {
    const item = value[name];
    if (kind === 'text') out += lead + clean(item as string) + nul;
    else if (kind === 'number') out += lead + (item as number) + nul;
    else if (kind === 'flag') out += lead + (item ? 1 : 0) + nul;
    else if (kind === 'list') {
      const list = item as Record<string, unknown>[];
      out += lead + list.length + nul;
      for (const element of list) out += encodeFields(inner, element);
    } else out += encodeFields(inner, item as Record<string, unknown>);
  }
  return out;
}

/** One complete message, as a byte string; `lead` attributes (protocol, request) come first. */
export function encode(shape: Shape, value: object, lead = ''): string {
  return lead + encodeFields(shape, value as Record<string, unknown>) + nul;
}

/** A single leading attribute. */
export function attribute(name: string, value: string): string {
  return name + nul + clean(value) + nul;
}

/** Reads attributes from a byte string; `undefined` from a method means: not all of it has come yet. */
export class AttributeReader {
  readonly text: string;
  at: number;

  constructor(text: string, at = 0) {
    this.text = text;
    this.at = at;
  }

  /** The next NUL-terminated string, or undefined when it is not all there. */
  private piece(): string | undefined {
    const end = this.text.indexOf(nul, this.at);
    if (end < 0) return undefined;
    const piece = this.text.slice(this.at, end);
    this.at = end + 1;
    return piece;
  }

  attribute(name: string): string | undefined {
    const at = this.at + name.length;
    // What is usual is not taken out only to be compared.
    if (this.text.charCodeAt(at) === 0 && this.text.startsWith(name, this.at)) this.at = at + 1;
    else {
      const got = this.piece();
      if (got === undefined) return undefined;
      if (got !== name) throw new ShapeTrouble(`expected attribute "${name}", got "${got.slice(0, 40)}"`);
    }
    return this.piece();
  }

  number(name: string): number | undefined {
    const text = this.attribute(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text === '' || !Number.isFinite(value)) throw new ShapeTrouble(`attribute "${name}" is not a number`);
    return value;
  }

  /** The empty name that ends a message. False: not there yet. */
  end(): boolean {
    const got = this.piece();
    if (got === undefined) return false;
    if (got !== '') throw new ShapeTrouble(`unexpected attribute "${got.slice(0, 40)}" at the end of a message`);
    return true;
  }

  private list(name: string, shape: Shape): object[] | undefined {
    const count = this.number(name);
    if (count === undefined) return undefined;
    if (count < 0 || count > listLimit) throw new ShapeTrouble(`attribute "${name}" counts ${count} elements`);
    const list: object[] = [];
    for (let i = 0; i < count; i++) {
      const element = this.fields(shape);
      if (element === undefined) return undefined;
      list.push(element);
    }
    return list;
  }

  private field({ name, kind, inner }: Step): unknown {
    if (kind === 'text') return this.attribute(name);
    if (kind === 'number') return this.number(name);
    if (kind === 'flag') {
      const value = this.number(name);
      return value === undefined ? undefined : value !== 0;
    }
    return kind === 'list' ? this.list(name, inner) : this.fields(inner);
  }

  fields(shape: Shape): object | undefined {
    const value: Record<string, unknown> = {};
    for (const step of planOf(shape)) {
      const item = this.field(step);
      if (item === undefined) return undefined;
      value[step.name] = item;
    }
    return value;
  }
}

/** A message decoded from the start of `text`, and where the next one begins; undefined: more bytes are needed. */
export function decode<S extends Shape>(shape: S, text: string, at = 0): { value: ShapeValue<S>; next: number } | undefined {
  const reader = new AttributeReader(text, at);
  const value = reader.fields(shape);
  if (value === undefined || !reader.end()) return undefined;
  return { value: value as ShapeValue<S>, next: reader.at };
}
