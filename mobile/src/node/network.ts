/** HTTP and WebSockets under Node. Each lane makes its own agents, so the two never share a connection or a pool. */
import http from 'node:http';
import https from 'node:https';

import WebSocket from 'ws';

import { RelayUnreachable } from '../core/errors.ts';
import type { AnonymousHttp, AnonymousSockets, HttpAnswer, IdentifiedHttp, IdentifiedSockets, Socket, SocketListener } from '../core/ports.ts';

const ANSWER_WITHIN_MS = 15_000;
const LARGEST_ANSWER = 1_048_576;
/** An outbound message of the relay, at most (docs/protocol.md). */
const LARGEST_FRAME = 262_144;

/** The connections of one lane. */
export class Lane {
  readonly #plain = new http.Agent({ keepAlive: true, maxSockets: 4 });
  readonly #tls = new https.Agent({ keepAlive: true, maxSockets: 4 });

  /** `alone`: on a connection of its own, closed with the answer. */
  request(method: string, url: string, headers: Record<string, string>, body?: string, alone = false): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const secure = url.startsWith('https:');
      const pool = secure ? this.#tls : this.#plain;
      const unreachable = (error: Error): void => {
        const { code } = error as NodeJS.ErrnoException;
        reject(new RelayUnreachable(`${new URL(url).host} did not answer (${code ?? error.message})`));
      };
      const request = (secure ? https : http).request(
        url,
        {
          method,
          agent: alone ? false : pool,
          headers: body === undefined ? headers : { ...headers, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
          signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
        },
        (response) => {
          const chunks: Buffer[] = [];
          let size = 0;
          response.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > LARGEST_ANSWER) response.destroy(new Error('the answer is too large'));
            else chunks.push(chunk);
          });
          response.on('error', unreachable);
          response.on('end', () => {
            const retryAfter = Number.parseInt(response.headers['retry-after'] ?? '', 10);
            resolve({
              status: response.statusCode ?? 0,
              body: Buffer.concat(chunks).toString('utf8'),
              retryAfterS: Number.isNaN(retryAfter) ? null : retryAfter,
            });
          });
        },
      );
      request.on('error', unreachable);
      request.end(body);
    });
  }

  socket(url: string, headers: Record<string, string>, listener: SocketListener): Socket {
    const socket = new WebSocket(url, {
      headers,
      agent: url.startsWith('wss:') ? this.#tls : this.#plain,
      perMessageDeflate: false, // sizes of compressed bodies would tell about their content
      maxPayload: LARGEST_FRAME,
      handshakeTimeout: ANSWER_WITHIN_MS,
      followRedirects: false,
    });
    let httpStatus: number | null = null;
    socket.on('open', () => listener.opened());
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.close(1003);
      else listener.received((data as Buffer).toString('utf8'));
    });
    socket.on('unexpected-response', (request, response) => {
      httpStatus = response.statusCode ?? null;
      response.resume();
      request.destroy();
      socket.terminate();
    });
    socket.on('error', () => undefined); // always followed by 'close'
    socket.on('close', (code) => listener.closed({ code, httpStatus }));
    return {
      send: (text) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close: (code) => {
        socket.close(code);
        // A peer that is gone never answers the closing handshake.
        setTimeout(() => socket.terminate(), 2_000).unref();
      },
    };
  }

  close(): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }
}

export function identifiedLane(lane: Lane): { http: IdentifiedHttp; sockets: IdentifiedSockets } {
  return {
    http: {
      request: ({ method, url, authorization, json }) =>
        lane.request(method, url, authorization === null ? {} : { Authorization: authorization }, json === undefined ? undefined : JSON.stringify(json)),
    },
    sockets: { open: (url, authorization, listener) => lane.socket(url, { Authorization: authorization }, listener) },
  };
}

export function anonymousLane(lane: Lane): { http: AnonymousHttp; sockets: AnonymousSockets } {
  return {
    http: {
      // Each alone: a connection that is used again would tell that one person asked about two others.
      request: ({ method, url, accessKey, json }) =>
        lane.request(method, url, accessKey === undefined ? {} : { 'Access-Key': accessKey }, json === undefined ? undefined : JSON.stringify(json), true),
    },
    sockets: { open: (url, listener) => lane.socket(url, {}, listener) },
  };
}
