/** What JavaScript does when the phone wakes it without a screen: connect, settle what waits, and let the phone sleep again. */
import type { Messenger } from '../core/messenger.ts';

/** Less than WakeService.kt gives. */
const WITHIN_MS = 100_000;

/** A moment after the mailbox was drained, for what came with the last frame to be written, acknowledged and shown. */
const AFTER_MS = 2_000;

export type MailEnd = Pick<Messenger, 'account' | 'start' | 'connection' | 'subscribe'>;

/** Resolves when the mailbox was drained, or when it takes too long; never rejects, since nobody is there to hear. */
export async function mailTask(open: () => Promise<MailEnd>, timers: { after(ms: number, run: () => void): void }): Promise<void> {
  try {
    const messenger = await open();
    if (!(await messenger.account())) return;
    await messenger.start();
    await new Promise<void>((resolve) => {
      timers.after(WITHIN_MS, resolve);
      let drained = false;
      const look = async (): Promise<void> => {
        const { caughtUp } = await messenger.connection();
        if (drained || !caughtUp) return;
        drained = true;
        timers.after(AFTER_MS, resolve);
      };
      messenger.subscribe((change) => {
        if (change.topic === 'connection') void look();
      });
      void look();
    });
  } catch {
    // The next wake tries again; the relay keeps what was not acknowledged.
  }
}
