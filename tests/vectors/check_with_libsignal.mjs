// Lets the official libsignal judge what the relay signed. Reads one JSON object from standard input, writes one to standard output.
// Run with mobile/ as the working directory.
//   in:  {signatures: [{public_key, message, signature}], certificates: [{trust_root, certificate, at_ms}]}     hex, milliseconds
//   out: {signatures: [bool], certificates: [{valid, sender, device, e164, expires_ms, identity_key, key_id}]}
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { PublicKey, SenderCertificate } = createRequire(join(process.cwd(), 'package.json'))('@signalapp/libsignal-client');
const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
const asked = JSON.parse(readFileSync(0, 'utf8'));

const signatures = (asked.signatures ?? []).map((one) =>
  PublicKey.deserialize(bytes(one.public_key)).verify(bytes(one.message), bytes(one.signature)),
);
const certificates = (asked.certificates ?? []).map((one) => {
  const certificate = SenderCertificate.deserialize(bytes(one.certificate));
  return {
    valid: certificate.validate(PublicKey.deserialize(bytes(one.trust_root)), one.at_ms),
    sender: certificate.senderUuid(),
    device: certificate.senderDeviceId(),
    e164: certificate.senderE164() ?? null,
    expires_ms: certificate.expiration(),
    identity_key: Buffer.from(certificate.key().serialize()).toString('hex'),
    key_id: certificate.serverCertificate().keyId(),
  };
});
process.stdout.write(JSON.stringify({ signatures, certificates }));
