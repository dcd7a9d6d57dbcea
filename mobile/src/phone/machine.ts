/** The small ports on the phone: time and randomness. */
import type { Clock, Random } from '../core/ports.ts';
import type { Native } from './native.ts';

/** A chunk of what `getRandomValues` gives at once (Web Cryptography, section 10.1.1). */
const AT_ONCE = 65_536;

/** React Native's own timers rest while the app is in the background; these are the phone's. */
export function phoneClock(native: Native): Clock {
  const due = new Map<number, () => void>();
  native.on('timer', ({ id }) => {
    const run = due.get(id);
    due.delete(id);
    run?.();
  });
  return {
    now: () => Date.now(),
    after(ms, run) {
      const id = native.nextId();
      due.set(id, run);
      void native.call('timerSet', { id, ms: Math.max(0, Math.ceil(ms)) });
      return () => {
        if (due.delete(id)) void native.call('timerCancel', { id });
      };
    },
  };
}

/** `crypto.getRandomValues` is put in place by src/ui/globals.ts, from java.security.SecureRandom. */
export const phoneRandom: Random = {
  bytes(count) {
    const bytes = new Uint8Array(count);
    for (let start = 0; start < count; start += AT_ONCE) globalThis.crypto.getRandomValues(bytes.subarray(start, start + AT_ONCE));
    return bytes;
  },
};
