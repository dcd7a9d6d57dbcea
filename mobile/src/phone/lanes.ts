/**
 * HTTP and WebSockets on the phone. They are the native module's, each lane with connections of its own: React Native's fetch and
 * WebSocket know one pool for everything, and the mailbox must outlive a pause of JavaScript.
 */
import { RelayUnreachable } from '../core/errors.ts';
import type { AnonymousHttp, AnonymousSockets, HttpAnswer, IdentifiedHttp, IdentifiedSockets, Socket, SocketListener } from '../core/ports.ts';
import type { Native } from './native.ts';

type LaneName = 'identified' | 'anonymous';

async function request(native: Native, args: { readonly lane: LaneName; readonly method: string; readonly url: string } & Readonly<Record<string, unknown>>): Promise<HttpAnswer> {
  const answer = await native.call<HttpAnswer | null>('http', args);
  if (!answer) throw new RelayUnreachable('the relay did not answer');
  return answer;
}

/** Every socket of a process hears the same event; this finds the one it is for. */
class OpenSockets {
  readonly #native: Native;
  readonly #listeners = new Map<number, SocketListener>();

  constructor(native: Native) {
    this.#native = native;
    native.on('socket', (event) => {
      const listener = this.#listeners.get(event.id);
      if (!listener) return;
      if (event.what === 'opened') listener.opened();
      else if (event.what === 'received') listener.received(event.text);
      else {
        this.#listeners.delete(event.id);
        listener.closed({ code: event.code, httpStatus: event.httpStatus });
      }
    });
  }

  open(lane: LaneName, url: string, authorization: string | null, listener: SocketListener): Socket {
    const id = this.#native.nextId();
    this.#listeners.set(id, listener);
    const gone = (): void => {
      if (this.#listeners.delete(id)) listener.closed({ code: 1006, httpStatus: null });
    };
    // Calls of one module are carried out in order, so nothing is sent before it is open.
    void this.#native.call('socketOpen', { lane, id, url, authorization }).catch(gone);
    return {
      send: (text) => void this.#native.call('socketSend', { lane, id, text }).catch(gone),
      close: (code) => void this.#native.call('socketClose', { lane, id, code }).catch(gone),
    };
  }
}

export interface Lanes {
  readonly identified: { readonly http: IdentifiedHttp; readonly sockets: IdentifiedSockets };
  readonly anonymous: { readonly http: AnonymousHttp; readonly sockets: AnonymousSockets };
}

export function phoneLanes(native: Native): Lanes {
  const sockets = new OpenSockets(native);
  return {
    identified: {
      http: {
        request: ({ method, url, authorization, json }) =>
          request(native, { lane: 'identified', method, url, authorization, json: json === undefined ? null : JSON.stringify(json) }),
      },
      sockets: { open: (url, authorization, listener) => sockets.open('identified', url, authorization, listener) },
    },
    anonymous: {
      http: {
        request: ({ method, url, accessKey, json }) =>
          request(native, { lane: 'anonymous', method, url, accessKey: accessKey ?? null, json: json === undefined ? null : JSON.stringify(json) }),
      },
      sockets: { open: (url, listener) => sockets.open('anonymous', url, null, listener) },
    },
  };
}
