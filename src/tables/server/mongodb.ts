/**
 * mongodb_table(5), by way of the mongodb client, which is installed where it is wanted (an optional dependency).
 */
import type mongodb from 'mongodb';
import { decodeUtf8, encodeUtf8 } from '../../text/utf8.ts';
import type { TableKind, Treatment } from '../driver.ts';
import type { TableContext } from '../table.ts';
import { library, limitsOf, settingsKind, type Answers, type Parts } from './common.ts';
import { joinResults, type Quote } from './expansion.ts';
import type { Settings } from './settings.ts';

type Mongodb = typeof mongodb;
type Document = mongodb.Document;

export function mongodbKind(name: string, _treatment: Treatment, context: TableContext): TableKind {
  return settingsKind('mongodb', name, context, mongodbAnswers);
}

function mongodbAnswers(parts: Parts): Answers {
  const { label, settings, context, expansion } = parts;
  const [uri, dbname, name] = ['uri', 'dbname', 'collection'].map((setting) => settings.required(setting));
  const filter = expansion.parse(settings.required('query_filter'), 'query');
  const result = expansion.parse(settings.text('result_format', '%s', 1), 'result');
  const limit = settings.number('expansion_limit', 10, { max: 100 });
  const limits = limitsOf(settings, 10);
  const mongo = library<Mongodb>('mongodb', label);
  const projection = projectionOf(label, settings, mongo);
  const client = new mongo.MongoClient(characters(uri!), {
    maxPoolSize: limits.links, maxIdleTimeMS: limits.idle, serverSelectionTimeoutMS: limits.timeout, connectTimeoutMS: limits.timeout,
    socketTimeoutMS: limits.timeout, waitQueueTimeoutMS: limits.timeout,
  });
  client.on('error', () => undefined);
  const collection = client.db(characters(dbname!)).collection(characters(name!));
  let asking = 0;
  const find = async (key: string): Promise<string | undefined> => {
    const query = expansion.query(filter, key, quoted);
    if (query === undefined) return undefined;
    if (asking >= limits.waiting) throw new Error('too many questions are waiting');
    asking++;
    try {
      const documents = await collection.find(mongo.BSON.EJSON.parse(characters(query)) as Document, { projection, promoteValues: false, maxTimeMS: limits.timeout, limit: 1000 }).toArray();
      return joinResults(expansion, result, documents.flatMap((document) => valuesOf(parts, document)), key, limit);
    } catch (error) {
      context.warn(`${label}: ${(error as Error).message}`);
      throw error;
    } finally {
      asking--;
    }
  };
  return { find, close: () => void client.close().catch(() => undefined) };
}

const characters = (bytes: string): string => decodeUtf8(bytes) ?? bytes;

/** The inside of a JSON string. */
const quoted: Quote = (text) => JSON.stringify(text).slice(1, -1);

function projectionOf(label: string, settings: Settings, mongo: Mongodb): Document {
  const [text, attributes] = [settings.given('projection'), settings.given('result_attribute')];
  if ((text === undefined) === (attributes === undefined)) throw new Error(`${label}: specify exactly one of 'projection' or 'result_attribute'`);
  if (text === undefined) return Object.fromEntries([['_id', 0], ...settings.list('result_attribute').map((name) => [characters(name), 1])]) as Document;
  try {
    return { ...mongo.BSON.EJSON.parse(characters(text)) as Document, _id: 0 };
  } catch (error) {
    throw new Error(`${label}: failed to create a projection from '${text}': ${(error as Error).message}`);
  }
}

/** Texts, whole numbers and lists of these; of anything else the log is told. */
function valuesOf({ label, context }: Parts, value: unknown, name = ''): string[] {
  if (typeof value === 'string') return [encodeUtf8(value)];
  const type = (value as { _bsontype?: string } | null)?._bsontype;
  if (type === 'Int32' || type === 'Long' || typeof value === 'bigint') return [String(value)];
  if (Array.isArray(value)) return value.flatMap((each) => valuesOf({ label, context } as Parts, each, name));
  if (name === '' && typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([field, each]) => valuesOf({ label, context } as Parts, each, field));
  context.warn(`${label}: failed to retrieve value of '${name}', Unknown result type ${type ?? typeof value}.`);
  return [];
}
