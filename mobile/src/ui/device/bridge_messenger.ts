/**
 * The Messenger of a core in another process, through the WebSocket of src/bridge: one text message a request, an answer, or a
 * change. For the screens in a browser, which has neither libsignal nor sockets with headers.
 */
import type { Change, Messenger } from '../../core/messenger.ts';

const SUBPROTOCOL = 'sottovoce-bridge';

class BridgeError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'BridgeError';
    this.code = code;
  }
}

interface Answer {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly change?: Change;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** @throws BridgeError `bridge` when the socket does not open. A bridge that breaks later fails every call with that code. */
export function connectBridge(url: string, token: string): Promise<Messenger> {
  const socket = new WebSocket(url, [SUBPROTOCOL, token]);
  const waiting = new Map<number, Waiting>();
  const listeners = new Set<(change: Change) => void>();
  let last = 0;

  const call = (method: string, params: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (socket.readyState !== WebSocket.OPEN) {
        reject(new BridgeError('bridge', 'the bridge is closed'));
        return;
      }
      last += 1;
      waiting.set(last, { resolve, reject });
      socket.send(JSON.stringify({ id: last, method, params }));
    });

  socket.onmessage = ({ data }) => {
    const { id, result, error, change } = JSON.parse(String(data)) as Answer;
    if (change) {
      for (const listener of [...listeners]) listener(change);
      return;
    }
    const asked = id === undefined ? undefined : waiting.get(id);
    if (id === undefined || !asked) return;
    waiting.delete(id);
    if (error) asked.reject(new BridgeError(error.code, error.message));
    else asked.resolve(result);
  };
  const fail = (): void => {
    for (const { reject } of waiting.values()) reject(new BridgeError('bridge', 'the bridge closed'));
    waiting.clear();
  };
  socket.onclose = fail;

  const subscribe = (listener: (change: Change) => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  // Every method of the interface but `subscribe` is a request of the same name.
  const messenger = new Proxy({} as Messenger, {
    get: (_, name) => (name === 'subscribe' ? subscribe : name === 'then' ? undefined : (...params: readonly unknown[]) => call(String(name), params)),
  });
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(messenger);
    socket.onerror = () => reject(new BridgeError('bridge', 'no bridge there'));
  });
}
