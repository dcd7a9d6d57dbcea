/** libsignal asks for stores; this one lives for one call, holds what was given in, and collects what changes. */
package org.sottovoce.phone.engine

import java.util.UUID
import org.signal.libsignal.protocol.IdentityKey
import org.signal.libsignal.protocol.IdentityKeyPair
import org.signal.libsignal.protocol.InvalidKeyIdException
import org.signal.libsignal.protocol.NoSessionException
import org.signal.libsignal.protocol.SignalProtocolAddress
import org.signal.libsignal.protocol.ecc.ECPublicKey
import org.signal.libsignal.protocol.groups.state.SenderKeyRecord
import org.signal.libsignal.protocol.state.IdentityKeyStore
import org.signal.libsignal.protocol.state.KyberPreKeyRecord
import org.signal.libsignal.protocol.state.PreKeyRecord
import org.signal.libsignal.protocol.state.SessionRecord
import org.signal.libsignal.protocol.state.SignalProtocolStore
import org.signal.libsignal.protocol.state.SignedPreKeyRecord

private val NO_KEYS = DecryptionKeys(null, null, null)

internal class OneCallStore(peer: PeerState, private val keys: DecryptionKeys = NO_KEYS) : SignalProtocolStore {
    private val pair = IdentityKeyPair(peer.identity)
    private val registrationId = peer.registrationId
    private var session: ByteArray? = peer.session
    private var peerIdentity: ByteArray? = peer.peerIdentity

    var keyWasMissing = false
        private set
    var usedPreKeyId: Int? = null
        private set
    var usedKyber: UsedKyber? = null
        private set

    fun savedSession(): ByteArray = session ?: throw EngineRefusal(Refusal.NO_SESSION)

    fun savedPeerIdentity(): ByteArray = peerIdentity ?: throw EngineRefusal(Refusal.UNTRUSTED_IDENTITY)

    // -- identities --

    override fun getIdentityKeyPair(): IdentityKeyPair = pair

    override fun getLocalRegistrationId(): Int = registrationId

    override fun saveIdentity(address: SignalProtocolAddress, key: IdentityKey): IdentityKeyStore.IdentityChange {
        val serialized = key.serialize()
        val replaced = peerIdentity?.let { !it.contentEquals(serialized) } ?: false
        peerIdentity = serialized
        return if (replaced) IdentityKeyStore.IdentityChange.REPLACED_EXISTING else IdentityKeyStore.IdentityChange.NEW_OR_UNCHANGED
    }

    /** An identity once known is the only one trusted: a change is the core's to judge, not the engine's to accept. */
    override fun isTrustedIdentity(address: SignalProtocolAddress, key: IdentityKey, direction: IdentityKeyStore.Direction): Boolean =
        peerIdentity?.contentEquals(key.serialize()) ?: true

    override fun getIdentity(address: SignalProtocolAddress): IdentityKey? = peerIdentity?.let { IdentityKey(it) }

    // -- the one session --

    override fun loadSession(address: SignalProtocolAddress): SessionRecord? = session?.let { SessionRecord(it) }

    override fun loadExistingSessions(addresses: List<SignalProtocolAddress>): List<SessionRecord> =
        listOf(session?.let { SessionRecord(it) } ?: throw NoSessionException("no session"))

    override fun storeSession(address: SignalProtocolAddress, record: SessionRecord) {
        session = record.serialize()
    }

    override fun containsSession(address: SignalProtocolAddress): Boolean = session != null

    override fun getSubDeviceSessions(name: String): List<Int> = emptyList()

    override fun deleteSession(address: SignalProtocolAddress) = never("deletes a session")

    override fun deleteAllSessions(name: String) = never("deletes sessions")

    // -- the prekeys of one message; nothing is ever saved through these --

    private fun need(record: ByteArray?): ByteArray {
        if (record == null) keyWasMissing = true
        return record ?: throw InvalidKeyIdException("a prekey the message names is not here")
    }

    override fun loadPreKey(id: Int): PreKeyRecord = PreKeyRecord(need(keys.preKey))

    override fun containsPreKey(id: Int): Boolean = keys.preKey != null

    override fun storePreKey(id: Int, record: PreKeyRecord) = never("makes a prekey")

    override fun removePreKey(id: Int) {
        usedPreKeyId = id
    }

    override fun loadSignedPreKey(id: Int): SignedPreKeyRecord = SignedPreKeyRecord(need(keys.signedPreKey))

    override fun loadSignedPreKeys(): List<SignedPreKeyRecord> = listOfNotNull(keys.signedPreKey?.let { SignedPreKeyRecord(it) })

    override fun containsSignedPreKey(id: Int): Boolean = keys.signedPreKey != null

    override fun storeSignedPreKey(id: Int, record: SignedPreKeyRecord) = never("makes a signed prekey")

    override fun removeSignedPreKey(id: Int) = never("removes a signed prekey")

    override fun loadKyberPreKey(id: Int): KyberPreKeyRecord = KyberPreKeyRecord(need(keys.kyberPreKey))

    override fun loadKyberPreKeys(): List<KyberPreKeyRecord> = listOfNotNull(keys.kyberPreKey?.let { KyberPreKeyRecord(it) })

    override fun containsKyberPreKey(id: Int): Boolean = keys.kyberPreKey != null

    override fun storeKyberPreKey(id: Int, record: KyberPreKeyRecord) = never("makes a Kyber prekey")

    override fun markKyberPreKeyUsed(id: Int, signedPreKeyId: Int, baseKey: ECPublicKey) {
        usedKyber = UsedKyber(id, signedPreKeyId, baseKey.serialize())
    }

    // -- groups are not part of this protocol --

    override fun storeSenderKey(sender: SignalProtocolAddress, distributionId: UUID, record: SenderKeyRecord) = never("has groups")

    override fun loadSenderKey(sender: SignalProtocolAddress, distributionId: UUID): SenderKeyRecord = never("has groups")

    private fun never(what: String): Nothing = throw UnsupportedOperationException("no call of the engine $what")

    companion object {
        /** Enough to open a seal, which asks for nothing but our own key. */
        fun ofIdentity(identity: ByteArray) = OneCallStore(PeerState("", identity, 0, "", null, null))
    }
}
