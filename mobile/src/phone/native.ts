/**
 * The native module as JavaScript sees it: two functions and one event, all JSON text (modules/sottovoce-native). Everything of the
 * phone's side is built on this one class, so tests put a JVM or a script in the module's place.
 */

/** What `requireNativeModule('Sottovoce')` gives. */
export interface NativeModule {
  engine(call: string, argumentsJson: string): Promise<string>;
  /** Answers `{"ok": value}`. */
  call(name: string, argumentsJson: string): Promise<string>;
  addListener(event: 'phone', listener: (event: { readonly json: string }) => void): { remove(): void };
}

export type SocketEvent = { readonly kind: 'socket'; readonly id: number } & (
  | { readonly what: 'opened' }
  | { readonly what: 'received'; readonly text: string }
  | { readonly what: 'closed'; readonly code: number; readonly httpStatus: number | null }
);

export interface PushState {
  readonly distributor: string | null;
  readonly endpoint: string | null;
  /** base64url, RFC 8291: the relay encrypts to these, and nobody decrypts. */
  readonly p256dh: string | null;
  readonly auth: string | null;
}

export interface Routes {
  readonly routes: readonly ('earpiece' | 'speaker' | 'bluetooth' | 'wired')[];
  readonly current: 'earpiece' | 'speaker' | 'bluetooth' | 'wired' | null;
}

export type PhoneEvent =
  | SocketEvent
  | { readonly kind: 'timer'; readonly id: number }
  | { readonly kind: 'delivery'; readonly state: 'off' | 'needs_login' | 'connecting' | 'live' | 'waiting' | 'stopped' }
  | ({ readonly kind: 'push' } & PushState)
  | ({ readonly kind: 'routes' } & Routes)
  | { readonly kind: 'opened'; readonly what: 'message' | 'call' | 'answer'; readonly id: string }
  | { readonly kind: 'call'; readonly call: string; readonly what: 'answer' | 'decline' | 'busy' | 'hang_up' | 'held' | 'resumed' };

type Kind = PhoneEvent['kind'];
type Of<K extends Kind> = Extract<PhoneEvent, { readonly kind: K }>;

export class Native {
  readonly #module: NativeModule;
  readonly #listeners = new Map<Kind, Set<(event: never) => void>>();
  #ids = 0;

  constructor(module: NativeModule) {
    this.#module = module;
    module.addListener('phone', ({ json }) => {
      const event = JSON.parse(json) as PhoneEvent;
      for (const listener of [...(this.#listeners.get(event.kind) ?? [])]) listener(event as never);
    });
  }

  /** Rejects on faults of the phone, and on arguments of another shape than PhoneCalls.kt reads. */
  async call<T = null>(name: string, args: object = {}): Promise<T> {
    return (JSON.parse(await this.#module.call(name, JSON.stringify(args))) as { readonly ok: T }).ok;
  }

  engine(call: string, argumentsJson: string): Promise<string> {
    return this.#module.engine(call, argumentsJson);
  }

  on<K extends Kind>(kind: K, listener: (event: Of<K>) => void): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    listeners.add(listener as (event: never) => void);
    return () => void listeners.delete(listener as (event: never) => void);
  }

  /** For sockets and timers, which JavaScript names. */
  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }
}
