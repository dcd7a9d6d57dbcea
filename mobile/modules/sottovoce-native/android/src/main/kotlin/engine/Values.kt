/** What goes into the engine and comes out of it; the shapes are those of mobile/src/core/engine.ts. Keys are in libsignal's serialized form. */
package org.sottovoce.phone.engine

/** Bytes are compared by nobody here, so these are plain classes and not data classes with a misleading `equals`. */
class NewIdentity(val identity: ByteArray, val publicKey: ByteArray)

/** [signature] is null for keys that are not signed. [record] holds the private half. */
class NewKey(val id: Int, val record: ByteArray, val publicKey: ByteArray, val signature: ByteArray?)

class PeerState(
    val localAccount: String,
    val identity: ByteArray,
    val registrationId: Int,
    val peerAccount: String,
    val session: ByteArray?,
    val peerIdentity: ByteArray?,
) {
    fun copy(peerIdentity: ByteArray?) = PeerState(localAccount, identity, registrationId, peerAccount, session, peerIdentity)
}

class PublicPreKey(val id: Int, val publicKey: ByteArray)

class SignedPublicPreKey(val id: Int, val publicKey: ByteArray, val signature: ByteArray)

class Bundle(
    val identityKey: ByteArray,
    val registrationId: Int,
    val signedPreKey: SignedPublicPreKey,
    val preKey: PublicPreKey?,
    val kyberPreKey: SignedPublicPreKey,
)

class NewSession(val session: ByteArray, val peerIdentity: ByteArray)

/** [type] is 2 for an ordinary message, 3 for one that carries a key agreement. */
class Ciphertext(val type: Int, val body: ByteArray)

class Encrypted(val type: Int, val body: ByteArray, val session: ByteArray)

/** The records a message names; only those are ever loaded. */
class DecryptionKeys(val preKey: ByteArray?, val signedPreKey: ByteArray?, val kyberPreKey: ByteArray?)

class UsedKyber(val id: Int, val signedPreKeyId: Int, val baseKey: ByteArray)

class Decrypted(val plaintext: ByteArray, val session: ByteArray, val peerIdentity: ByteArray, val usedPreKeyId: Int?, val usedKyber: UsedKyber?)

class Unsealed(val type: Int, val body: ByteArray, val certificate: ByteArray)

class CertifiedSender(val account: String, val device: Int, val identityKey: ByteArray, val expiresAtMs: Long)

class FingerprintParty(val identifier: ByteArray, val identityKey: ByteArray)

class Fingerprint(val digits: String, val scannable: ByteArray)
