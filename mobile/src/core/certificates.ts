import { sameBytes } from './bytes.ts';
import type { SignalEngine } from './engine.ts';
import { EngineError } from './engine.ts';
import { NotTrusted } from './errors.ts';
import { bearer } from './relay_api.ts';
import type { IdentifiedApi } from './relay_api.ts';
import type { RelayTime } from './relay_time.ts';
import type { Store } from './storage/store.ts';

/** Below this much life left, a new certificate is fetched: the envelope may lie in the outbox a while before it leaves. */
const RENEW_BEFORE_S = 6 * 3_600;
const FLOOR_S = 60;

export interface OwnCertificate {
  readonly certificate: Uint8Array;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

/** The relay's word on who we are, fetched on the identified lane ahead of need and kept; never fetched because of one message. */
export class SenderCertificates {
  readonly #store: Store;
  readonly #engine: SignalEngine;
  readonly #api: IdentifiedApi;
  readonly #time: RelayTime;
  #fetching: Promise<OwnCertificate> | null = null;

  constructor(deps: { readonly store: Store; readonly engine: SignalEngine; readonly api: IdentifiedApi; readonly time: RelayTime }) {
    this.#store = deps.store;
    this.#engine = deps.engine;
    this.#api = deps.api;
    this.#time = deps.time;
  }

  /** @throws NotTrusted `foreign_certificate`, RelayUnreachable, RelayRefused */
  async current(): Promise<OwnCertificate> {
    const account = await this.#store.account.get();
    const now = this.#time.nowS();
    const held =
      account?.certificate && account.certificateExpiresAt !== null
        ? { certificate: account.certificate, expiresAt: account.certificateExpiresAt }
        : null;
    if (held && held.expiresAt - now > RENEW_BEFORE_S) return held;
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = null;
    });
    try {
      return await this.#fetching;
    } catch (error) {
      if (held && held.expiresAt - now > FLOOR_S && !(error instanceof NotTrusted)) return held; // short of life but good
      throw error;
    }
  }

  async #fetch(): Promise<OwnCertificate> {
    const account = await this.#store.account.get();
    if (!account?.accountId) throw new NotTrusted('not_joined', 'no account yet');
    const certificate = await this.#api.senderCertificate(bearer(account.accountId, account.secret));
    const wrong = (): NotTrusted =>
      new NotTrusted('foreign_certificate', 'the relay is not the one of the invite: the trust root did not sign its certificate for this account');
    let expiresAt: number;
    try {
      const sender = await this.#engine.checkCertificate(certificate, account.trustRoot, this.#time.nowMs());
      if (sender.account !== account.accountId || sender.device !== 1 || !sameBytes(sender.identityKey, account.identityKey)) throw wrong();
      expiresAt = Math.floor(sender.expiresAtMs / 1000);
    } catch (error) {
      throw error instanceof EngineError ? wrong() : error;
    }
    await this.#store.write([this.#store.account.saveCertificate(certificate, expiresAt)]);
    return { certificate, expiresAt };
  }
}
