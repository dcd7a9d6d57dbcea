/** What mailbox and post sessions have in common: hello, heartbeat, and noticing that the other end is gone. */
import { Malformed } from './errors.ts';
import type { Clock, Socket, SocketEnding, SocketListener } from './ports.ts';
import { beatFrame, LIMITS } from './wire/frames.ts';
import type { Hello } from './wire/frames.ts';

const HELLO_WITHIN_MS = 20_000;
/** Over the relay's own patience, so that a slow relay is the one to end the session. */
const GRACE_S = 5;

/** Close code of our own (RFC 6455 section 7.4.2, 4000 to 4999): the relay broke the protocol, or fell silent. */
export const GAVE_UP = 4000;

type Common = Hello | { readonly type: 'ping' | 'pong'; readonly n: number } | { readonly type: 'unknown' };

export interface SessionHandlers<F> {
  hello(hello: Hello): void;
  /** Everything but hello and the heartbeat. */
  frame(frame: F): void;
  ended(ending: SocketEnding): void;
  /** A frame of the relay broke the protocol; the session ends. `where` holds no values. */
  malformed(where: string): void;
}

export interface Session {
  send(text: string): void;
  close(): void;
}

/**
 * Opens a socket through `open` and runs the session on it until it ends; `ended` is called exactly once.
 * A relay that says nothing for `ping_every_s + answer_within_s` is taken for gone: the app closes and reconnects.
 */
export function runSession<F extends { readonly type: string }>(
  open: (listener: SocketListener) => Socket,
  parse: (text: string) => F | Common,
  clock: Clock,
  handlers: SessionHandlers<F>,
): Session {
  let over = false;
  let greeted = false;
  let silenceMs = HELLO_WITHIN_MS;
  let stopWatch: () => void = () => undefined;

  const end = (ending: SocketEnding): void => {
    if (over) return;
    over = true;
    stopWatch();
    handlers.ended(ending);
  };
  const giveUp = (): void => {
    socket.close(GAVE_UP);
    end({ code: GAVE_UP, httpStatus: null }); // a dead peer may never answer the closing handshake
  };
  const watch = (): void => {
    stopWatch();
    stopWatch = clock.after(silenceMs, giveUp);
  };
  const received = (text: string): void => {
    if (over) return;
    watch();
    let frame: F | Common;
    try {
      frame = parse(text);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      handlers.malformed(error.where);
      giveUp();
      return;
    }
    if (frame.type === 'hello') {
      const hello = frame as Hello;
      if (hello.protocol !== LIMITS.protocol) {
        handlers.malformed('frame.protocol');
        giveUp();
        return;
      }
      greeted = true;
      silenceMs = (hello.pingEveryS + hello.answerWithinS + GRACE_S) * 1000;
      watch();
      handlers.hello(hello);
    } else if (frame.type === 'ping') {
      socket.send(beatFrame('pong', (frame as { n: number }).n));
    } else if (greeted && frame.type !== 'pong' && frame.type !== 'unknown') {
      handlers.frame(frame as F);
    }
  };
  const socket = open({ opened: () => undefined, received, closed: end });
  watch();
  return {
    send: (text) => socket.send(text),
    close: () => {
      socket.close(1000);
      end({ code: 1000, httpStatus: null });
    },
  };
}
