/**
 * What the core needs from the machine it runs on. Each port has a phone adapter and a Node adapter; the Signal engine has
 * a file of its own (engine.ts). No port here knows about the protocol.
 */

/** Time. Tests drive it by hand; nothing in the core sleeps by any other means. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
}

export interface Random {
  /** Bytes fit for keys. */
  bytes(count: number): Uint8Array;
}

export type SqlValue = string | number | Uint8Array | null;

/** Parameters are written `:name` in the SQL and named without the colon here. */
export interface Statement {
  readonly sql: string;
  readonly params?: Readonly<Record<string, SqlValue>>;
}

/**
 * The encrypted database. There is no open transaction to hold: a unit of work is computed first and then written as one
 * list, so nothing but SQL can happen inside a transaction.
 */
export interface Database {
  read(statement: Statement): Promise<readonly Readonly<Record<string, SqlValue>>[]>;
  /** All statements or none, durable when the promise resolves. */
  write(statements: readonly Statement[]): Promise<void>;
  close(): Promise<void>;
}

/** Small secrets outside the database: its key. On the phone, the Android Keystore. */
export interface KeyVault {
  get(name: string): Promise<Uint8Array | null>;
  /** Durable when the promise resolves. */
  put(name: string, value: Uint8Array): Promise<void>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** Seconds, from `Retry-After`, when it was there. */
  readonly retryAfterS: number | null;
}

/**
 * The identified lane. Its connections are its own: an adapter never shares a pool with the anonymous lane.
 * Rejects with RelayUnreachable when no answer came.
 */
export interface IdentifiedHttp {
  request(request: {
    readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
    readonly url: string;
    /** Null where the body says who asks: a recovery. */
    readonly authorization: string | null;
    readonly json?: unknown;
  }): Promise<HttpAnswer>;
}

/** The anonymous lane. There is no field that could carry a token, and no general headers that could smuggle one. */
export interface AnonymousHttp {
  request(request: {
    readonly method: 'GET' | 'POST';
    readonly url: string;
    /** The `Access-Key` header, base64url. */
    readonly accessKey?: string;
    readonly json?: unknown;
  }): Promise<HttpAnswer>;
}

export interface SocketEnding {
  /** The WebSocket close code; 1006 when the connection broke or never stood. */
  readonly code: number;
  /** The HTTP status when the upgrade was refused, where the platform tells it. */
  readonly httpStatus: number | null;
}

/**
 * Called in order: `opened` at most once, then `received` any number of times, then `closed` exactly once, also after a
 * failure to open. Never called from within `open` itself.
 */
export interface SocketListener {
  opened(): void;
  received(text: string): void;
  closed(ending: SocketEnding): void;
}

export interface Socket {
  /** Dropped silently when the socket is not open. */
  send(text: string): void;
  close(code: number): void;
}

export interface IdentifiedSockets {
  open(url: string, authorization: string, listener: SocketListener): Socket;
}

export interface AnonymousSockets {
  open(url: string, listener: SocketListener): Socket;
}
