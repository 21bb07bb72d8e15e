/** What we use of pg, which has no types of its own. */
declare module 'pg' {
  import type { EventEmitter } from 'node:events';
  export interface ClientConfig {
    readonly connectionString?: string;
    readonly host?: string;
    readonly port?: number;
    readonly database?: string;
    readonly user?: string;
    readonly password?: string;
    readonly connectionTimeoutMillis?: number;
    readonly ssl?: { readonly rejectUnauthorized: boolean };
  }
  export interface QueryArrayResult { readonly rows: unknown[][] }
  export interface QueryConfig {
    readonly text: string;
    readonly rowMode: 'array';
    readonly types: { getTypeParser(): (value: string) => string };
  }
  export class Client extends EventEmitter {
    constructor(config: ClientConfig);
    connect(): Promise<void>;
    query(query: QueryConfig): Promise<QueryArrayResult | QueryArrayResult[]>;
    end(): Promise<void>;
  }
  const pg: { readonly Client: typeof Client };
  export default pg;
}
