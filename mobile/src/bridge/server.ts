/**
 * Serves one Messenger to a page or a test on the same machine, over a WebSocket that listens on the loopback address only.
 *
 * Any page in a browser may open a socket to this machine, so a connection needs a token: 32 random bytes, good for one connection,
 * handed over outside the socket. It travels as a second subprotocol (`new WebSocket(url, ['sottovoce-bridge', token])`), the
 * one header a page can set; the server answers with the first, so the token is never repeated.
 */
import type { AddressInfo } from 'node:net';

import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

import { sameBytes, toBase64url, toUtf8 } from '../core/bytes.ts';
import { SottovoceError } from '../core/errors.ts';
import type { Messenger } from '../core/messenger.ts';
import type { Random } from '../core/ports.ts';
import { changeText, errorText, idOf, parseRequest, resultText } from './protocol.ts';

export const SUBPROTOCOL = 'sottovoce-bridge';

/** An address book of 20,000 entries fits. */
const LARGEST_REQUEST = 4 * 1024 * 1024;
/** A page that stopped reading does not fill this process; a page of messages is far below it. */
const MOST_UNREAD_BYTES = 16 * 1024 * 1024;
const MOST_AT_ONCE = 256;

export interface Bridge {
  /** `ws://127.0.0.1:<port>/` */
  readonly url: string;
  /** A token for one connection; each call makes another. At most 16 are outstanding: the oldest is forgotten. */
  token(): string;
  /** Ends what is connected; the Messenger is the caller's and goes on. */
  close(): Promise<void>;
}

/** `port` 0: any free one. */
export async function serveMessenger(messenger: Messenger, options: { readonly random: Random; readonly port?: number; readonly onConnected?: () => void }): Promise<Bridge> {
  const tokens: string[] = [];
  const spend = (offered: string): boolean => {
    const at = tokens.findIndex((token) => sameBytes(toUtf8(token), toUtf8(offered)));
    if (at >= 0) tokens.splice(at, 1);
    return at >= 0;
  };
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: options.port ?? 0,
    perMessageDeflate: false,
    maxPayload: LARGEST_REQUEST,
    handleProtocols: () => SUBPROTOCOL,
    verifyClient: ({ req }, answer) => {
      const [protocol, token = ''] = (req.headers['sec-websocket-protocol'] ?? '').split(',').map((part) => part.trim());
      answer(protocol === SUBPROTOCOL && spend(token), 401);
    },
  });
  server.on('connection', (socket) => {
    serve(messenger, socket);
    options.onConnected?.();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    token() {
      const token = toBase64url(options.random.bytes(32));
      tokens.push(token);
      if (tokens.length > 16) tokens.shift();
      return token;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of server.clients) socket.terminate();
      }),
  };
}

function serve(messenger: Messenger, socket: WebSocket): void {
  let running = 0;
  const send = (text: string): void => {
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > MOST_UNREAD_BYTES) socket.terminate();
    else socket.send(text);
  };
  const answer = async (text: string): Promise<void> => {
    let id = idOf(text);
    running += 1;
    try {
      if (running > MOST_AT_ONCE) throw new SottovoceError('too_many', `at most ${MOST_AT_ONCE} requests at once`);
      const request = parseRequest(text);
      id = request.id;
      const call = messenger[request.method] as (...params: readonly unknown[]) => Promise<unknown>;
      send(resultText(request.id, await call.apply(messenger, [...request.params])));
    } catch (error) {
      // What is no SottovoceError may quote anything: its words stay here.
      if (error instanceof SottovoceError) send(errorText(id, error.code, error.message));
      else send(errorText(id, 'failed', 'something went wrong in the core'));
    } finally {
      running -= 1;
    }
  };
  const unsubscribe = messenger.subscribe((change) => send(changeText(change)));
  socket.on('message', (data, isBinary) => {
    if (isBinary) socket.close(1003);
    else void answer((data as Buffer).toString('utf8'));
  });
  socket.on('error', () => undefined); // always followed by 'close'
  socket.on('close', unsubscribe);
}
