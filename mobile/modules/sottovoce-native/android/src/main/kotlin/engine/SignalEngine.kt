/** The Signal protocol as functions from bytes to bytes, over libsignal. The contract is mobile/src/core/engine.ts. */
package org.sottovoce.phone.engine

import java.time.Instant
import java.util.UUID
import org.signal.libsignal.metadata.SealedSessionCipher
import org.signal.libsignal.metadata.certificate.CertificateValidator
import org.signal.libsignal.metadata.certificate.SenderCertificate
import org.signal.libsignal.metadata.protocol.UnidentifiedSenderMessageContent
import org.signal.libsignal.protocol.IdentityKey
import org.signal.libsignal.protocol.IdentityKeyPair
import org.signal.libsignal.protocol.SessionBuilder
import org.signal.libsignal.protocol.SessionCipher
import org.signal.libsignal.protocol.SignalProtocolAddress
import org.signal.libsignal.protocol.ecc.ECKeyPair
import org.signal.libsignal.protocol.ecc.ECPublicKey
import org.signal.libsignal.protocol.fingerprint.NumericFingerprintGenerator
import org.signal.libsignal.protocol.kem.KEMKeyPair
import org.signal.libsignal.protocol.kem.KEMKeyType
import org.signal.libsignal.protocol.kem.KEMPublicKey
import org.signal.libsignal.protocol.message.CiphertextMessage
import org.signal.libsignal.protocol.message.PreKeySignalMessage
import org.signal.libsignal.protocol.message.SignalMessage
import org.signal.libsignal.protocol.state.KyberPreKeyRecord
import org.signal.libsignal.protocol.state.PreKeyBundle
import org.signal.libsignal.protocol.state.PreKeyRecord
import org.signal.libsignal.protocol.state.SignedPreKeyRecord

private const val DEVICE = 1
private const val FINGERPRINT_ITERATIONS = 5200
private const val FINGERPRINT_VERSION = 2

/**
 * Keeps nothing: state comes in, new state goes out, and what was given in is never changed. Every function throws
 * [EngineRefusal] with the code that engine.ts names; whatever else it throws is a fault of this machine.
 */
class SignalEngine {
    fun generateIdentity(): NewIdentity = IdentityKeyPair.generate().let { NewIdentity(it.serialize(), it.publicKey.serialize()) }

    fun generateSignedPreKey(identity: ByteArray, id: Int, nowMs: Long): NewKey {
        val keys = ECKeyPair.generate()
        val publicKey = keys.publicKey.serialize()
        val signature = IdentityKeyPair(identity).privateKey.calculateSignature(publicKey)
        return NewKey(id, SignedPreKeyRecord(id, nowMs, keys, signature).serialize(), publicKey, signature)
    }

    fun generatePreKeys(firstId: Int, count: Int): List<NewKey> =
        List(count) { index ->
            val keys = ECKeyPair.generate()
            NewKey(firstId + index, PreKeyRecord(firstId + index, keys).serialize(), keys.publicKey.serialize(), null)
        }

    fun generateKyberPreKeys(identity: ByteArray, firstId: Int, count: Int, nowMs: Long): List<NewKey> {
        val pair = IdentityKeyPair(identity)
        return List(count) { index ->
            val keys = KEMKeyPair.generate(KEMKeyType.KYBER_1024)
            val publicKey = keys.publicKey.serialize()
            val signature = pair.privateKey.calculateSignature(publicKey)
            NewKey(firstId + index, KyberPreKeyRecord(firstId + index, nowMs, keys, signature).serialize(), publicKey, signature)
        }
    }

    /** PQXDH, first half. */
    fun processBundle(peer: PeerState, bundle: Bundle, nowMs: Long): NewSession =
        judged(Refusal.BAD_BUNDLE) {
            val store = OneCallStore(peer)
            val parsed = PreKeyBundle(
                bundle.registrationId,
                DEVICE,
                bundle.preKey?.id ?: PreKeyBundle.NULL_PRE_KEY_ID,
                bundle.preKey?.let { ECPublicKey(it.publicKey) },
                bundle.signedPreKey.id,
                ECPublicKey(bundle.signedPreKey.publicKey),
                bundle.signedPreKey.signature,
                IdentityKey(bundle.identityKey),
                bundle.kyberPreKey.id,
                KEMPublicKey(bundle.kyberPreKey.publicKey),
                bundle.kyberPreKey.signature,
            )
            SessionBuilder(store, address(peer)).process(parsed, Instant.ofEpochMilli(nowMs))
            NewSession(store.savedSession(), store.savedPeerIdentity())
        }

    fun encrypt(peer: PeerState, plaintext: ByteArray, nowMs: Long): Encrypted =
        judged(Refusal.NO_SESSION) {
            val store = OneCallStore(peer)
            val message = SessionCipher(store, address(peer)).encrypt(plaintext, Instant.ofEpochMilli(nowMs))
            Encrypted(spoken(message.type), message.serialize(), store.savedSession())
        }

    fun decrypt(peer: PeerState, message: Ciphertext, keys: DecryptionKeys): Decrypted =
        judged(Refusal.UNDECRYPTABLE) {
            val store = OneCallStore(peer, keys)
            val cipher = SessionCipher(store, address(peer))
            val plaintext = try {
                when (message.type) {
                    CiphertextMessage.PREKEY_TYPE -> cipher.decrypt(PreKeySignalMessage(message.body))
                    CiphertextMessage.WHISPER_TYPE -> cipher.decrypt(SignalMessage(message.body))
                    else -> throw EngineRefusal(Refusal.UNDECRYPTABLE)
                }
            } catch (error: Exception) {
                // libsignal may wrap what a store throws, so what was missing is noted beside it.
                throw if (store.keyWasMissing) EngineRefusal(Refusal.MISSING_PREKEY) else error
            }
            Decrypted(plaintext, store.savedSession(), store.savedPeerIdentity(), store.usedPreKeyId, store.usedKyber)
        }

    /** Sealed sender, version 1. */
    fun sealedWrap(peer: PeerState, peerIdentity: ByteArray, certificate: ByteArray, message: Ciphertext): ByteArray =
        judged(Refusal.BAD_CERTIFICATE) {
            val store = OneCallStore(peer.copy(peerIdentity = peerIdentity))
            val content = UnidentifiedSenderMessageContent(sealedContent(certificate, message))
            sealer(store).encrypt(address(peer), content)
        }

    /** Opens the outer seal and no more, so that the certificate can be judged before a session is touched. */
    fun sealedUnwrap(identity: ByteArray, sealed: ByteArray): Unsealed =
        judged(Refusal.NOT_FOR_ME) {
            val content = LibsignalInternals.unseal(sealed, OneCallStore.ofIdentity(identity))
            Unsealed(spoken(content.type), content.content, content.senderCertificate.serialized)
        }

    fun checkCertificate(certificate: ByteArray, trustRoot: ByteArray, atMs: Long): CertifiedSender =
        judged(Refusal.BAD_CERTIFICATE) {
            val parsed = SenderCertificate(certificate)
            CertificateValidator(ECPublicKey(trustRoot)).validate(parsed, atMs)
            CertifiedSender(parsed.senderUuid, parsed.senderDeviceId, parsed.key.serialize(), parsed.expiration)
        }

    fun fingerprint(local: FingerprintParty, remote: FingerprintParty): Fingerprint =
        judged(Refusal.BAD_FINGERPRINT) {
            val made = NumericFingerprintGenerator(FINGERPRINT_ITERATIONS).createFor(
                FINGERPRINT_VERSION,
                local.identifier,
                IdentityKey(local.identityKey),
                remote.identifier,
                IdentityKey(remote.identityKey),
            )
            Fingerprint(made.displayableFingerprint.displayText, made.scannableFingerprint.serialized)
        }

    fun compareFingerprints(own: ByteArray, scanned: ByteArray): Boolean =
        judged(Refusal.BAD_FINGERPRINT) { LibsignalInternals.compareScannable(own, scanned) }

    private fun address(peer: PeerState) = SignalProtocolAddress(peer.peerAccount, DEVICE)

    /** Of its three own parameters only the store is used for sealing. */
    private fun sealer(store: OneCallStore) = SealedSessionCipher(store, UUID(0, 0), null, DEVICE)

    private fun spoken(type: Int): Int =
        if (type == CiphertextMessage.WHISPER_TYPE || type == CiphertextMessage.PREKEY_TYPE) type else throw EngineRefusal(Refusal.UNDECRYPTABLE)
}

/**
 * UnidentifiedSenderMessage.Message of libsignal's sealed_sender.proto, which cannot be built from a message that is already
 * bytes: 1 = type (1 prekey, 2 ordinary), 2 = certificate, 3 = message.
 */
private fun sealedContent(certificate: ByteArray, message: Ciphertext): ByteArray {
    val type = byteArrayOf((1 shl 3).toByte(), if (message.type == CiphertextMessage.PREKEY_TYPE) 1 else 2)
    return type + field(2, certificate) + field(3, message.body)
}

private fun field(number: Int, bytes: ByteArray): ByteArray {
    val head = mutableListOf(((number shl 3) or 2).toByte())
    var length = bytes.size
    while (length >= 0x80) {
        head += ((length and 0x7f) or 0x80).toByte()
        length = length ushr 7
    }
    head += length.toByte()
    return head.toByteArray() + bytes
}

/** Runs `work` and turns what libsignal says into one of our few words. [otherwise] is the word for what has none of its own. */
private inline fun <T> judged(otherwise: Refusal, work: () -> T): T =
    try {
        work()
    } catch (error: Exception) {
        throw verdict(error, otherwise)
    }
