import * as signal from '@signalapp/libsignal-client';

import type { Authority } from '../engine_conformance.ts';

/** A relay's certificate keys, made for one test. */
export function makeAuthority(): Authority {
  const trust = signal.PrivateKey.generate();
  const server = signal.PrivateKey.generate();
  const serverCertificate = signal.ServerCertificate.new(1, server.getPublicKey(), trust);
  return {
    trustRoot: trust.getPublicKey().serialize(),
    certificate: (account, identityKey, expiresAtMs) =>
      signal.SenderCertificate.new(account, null, 1, signal.PublicKey.deserialize(identityKey), expiresAtMs, serverCertificate, server).serialize(),
  };
}
