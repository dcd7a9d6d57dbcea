/** Ties UnifiedPush to the relay: what the distributor gives goes to it, and what it forgets is forgotten there. */
import { CannotDo, RelayRefused } from '../core/errors.ts';
import type { PushState } from './native.ts';
import type { Push } from './phone_side.ts';

export interface Subscription {
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
}

/** The relay's side, for the account that is joined here. */
export interface PushAtRelay {
  /** base64url; null for a relay without push. */
  key(): Promise<string | null>;
  set(subscription: Subscription): Promise<void>;
  forget(): Promise<void>;
}

export interface PushLink {
  /** @throws CannotDo `no_distributor`, `no_push` */
  begin(distributors: readonly { readonly id: string }[]): Promise<void>;
  end(): Promise<void>;
  /** Tells the relay again: it forgets when the account is recovered, and an endpoint may have come while nobody looked. */
  renew(): Promise<void>;
}

export function pushLink(push: Push, relay: PushAtRelay): PushLink {
  let tail: Promise<unknown> = Promise.resolve();
  /** One after the other, so that a late answer does not undo a newer one. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = tail.then(work);
    tail = turn.catch(() => undefined);
    return turn;
  };
  const tell = async ({ distributor, endpoint, p256dh, auth }: PushState): Promise<void> => {
    if (!distributor) return;
    if (endpoint && p256dh && auth) await relay.set({ endpoint, p256dh, auth });
    else await relay.forget();
  };
  push.onChange((state) => void inTurn(() => tell(state)).catch(() => undefined)); // told again at the next start
  return {
    begin: (distributors) =>
      inTurn(async () => {
        const [first] = distributors;
        if (!first) throw new CannotDo('no_distributor', 'no UnifiedPush distributor is installed: install one first');
        const key = await relay.key();
        if (!key) throw new CannotDo('no_push', 'this relay sends no pushes: ask the operator');
        const { distributor } = await push.state();
        await push.register(distributors.some(({ id }) => id === distributor) ? (distributor ?? first.id) : first.id, key);
      }),
    end: () =>
      inTurn(async () => {
        if (!(await push.state()).distributor) return;
        await push.unregister();
        await relay.forget().catch((error: unknown) => {
          // A relay without push has nothing to forget; one that cannot be reached finds the endpoint gone by itself.
          if (error instanceof RelayRefused && error.code !== 'no_push') throw error;
        });
      }),
    renew: () => inTurn(async () => tell(await push.state())),
  };
}
