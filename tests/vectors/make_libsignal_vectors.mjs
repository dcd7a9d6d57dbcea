// Prints libsignal_signatures.json: signatures made by the official libsignal, for relay/xeddsa_signatures.py to read.
// Run: cd mobile && node ../tests/vectors/make_libsignal_vectors.mjs > ../tests/vectors/libsignal_signatures.json
import { createRequire } from 'node:module';
import { join } from 'node:path';

const here = createRequire(join(process.cwd(), 'package.json'));
const { KEMKeyPair, PrivateKey } = here('@signalapp/libsignal-client');
const hex = (bytes) => Buffer.from(bytes).toString('hex');

const vectors = [];
for (let n = 0; n < 24; n += 1) {
  const key = PrivateKey.generate();
  // As it occurs on the wire: the serialized public key of a prekey, 33 bytes or 1569.
  const message = n < 20 ? PrivateKey.generate().getPublicKey().serialize() : KEMKeyPair.generate().getPublicKey().serialize();
  vectors.push({
    private_key: hex(key.serialize()),
    public_key: hex(key.getPublicKey().serialize()),
    message: hex(message),
    signature: hex(key.sign(message)),
  });
}
process.stdout.write(`${JSON.stringify(vectors, null, 1)}\n`);
