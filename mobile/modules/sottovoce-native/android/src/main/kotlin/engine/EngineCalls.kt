/**
 * The engine as one function from text to text: a call's name and its arguments in JSON, bytes as base64url. Expo's records
 * cannot carry byte arrays into Kotlin and its functions take at most eight arguments; a string passes everywhere. So the whole
 * border is tested on a JVM, where the same JSON comes over a pipe.
 */
package org.sottovoce.phone.engine

import java.util.Base64
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

class EngineCalls(private val engine: SignalEngine = SignalEngine()) {
    /**
     * `{"ok": result}` or `{"refused": {"code", "message"}}`. Throws on a call that does not exist or arguments of another shape
     * (a bug of the caller), and on faults of this machine.
     */
    fun answer(name: String, arguments: String): String {
        val call = CALLS[name] ?: throw IllegalArgumentException("the engine has no such call")
        val given = JSONObject(arguments)
        return try {
            JSONObject().put("ok", engine.call(given)).toString()
        } catch (refused: EngineRefusal) {
            JSONObject().put("refused", JSONObject().put("code", refused.refusal.code).put("message", refused.message)).toString()
        }
    }

    companion object {
        val NAMES: Set<String> get() = CALLS.keys
    }
}

private val CALLS: Map<String, SignalEngine.(JSONObject) -> Any> = mapOf(
    "generateIdentity" to { _ -> generateIdentity().let { record("identity" to it.identity, "publicKey" to it.publicKey) } },
    "generateSignedPreKey" to { it -> json(generateSignedPreKey(it.bytes("identity"), it.getInt("id"), it.getLong("nowMs"))) },
    "generatePreKeys" to { it -> array(generatePreKeys(it.getInt("firstId"), it.getInt("count"))) },
    "generateKyberPreKeys" to { it ->
        array(generateKyberPreKeys(it.bytes("identity"), it.getInt("firstId"), it.getInt("count"), it.getLong("nowMs")))
    },
    "processBundle" to { it ->
        val made = processBundle(it.peer(), it.bundle(), it.getLong("nowMs"))
        record("session" to made.session, "peerIdentity" to made.peerIdentity)
    },
    "encrypt" to { it ->
        val made = encrypt(it.peer(), it.bytes("plaintext"), it.getLong("nowMs"))
        record("type" to made.type, "body" to made.body, "session" to made.session)
    },
    "decrypt" to { it ->
        val keys = it.getJSONObject("keys")
        val wanted = DecryptionKeys(keys.bytesOrNull("preKey"), keys.bytesOrNull("signedPreKey"), keys.bytesOrNull("kyberPreKey"))
        val read = decrypt(it.peer(), it.message(), wanted)
        record(
            "plaintext" to read.plaintext,
            "session" to read.session,
            "peerIdentity" to read.peerIdentity,
            "usedPreKeyId" to read.usedPreKeyId,
            "usedKyber" to read.usedKyber?.let { used -> record("id" to used.id, "signedPreKeyId" to used.signedPreKeyId, "baseKey" to used.baseKey) },
        )
    },
    "sealedWrap" to { it -> text(sealedWrap(it.peer(), it.bytes("peerIdentity"), it.bytes("certificate"), it.message())) },
    "sealedUnwrap" to { it ->
        val opened = sealedUnwrap(it.bytes("identity"), it.bytes("sealed"))
        record("type" to opened.type, "body" to opened.body, "certificate" to opened.certificate)
    },
    "checkCertificate" to { it ->
        val sender = checkCertificate(it.bytes("certificate"), it.bytes("trustRoot"), it.getLong("atMs"))
        record("account" to sender.account, "device" to sender.device, "identityKey" to sender.identityKey, "expiresAtMs" to sender.expiresAtMs)
    },
    "fingerprint" to { it ->
        val made = fingerprint(it.party("local"), it.party("remote"))
        record("digits" to made.digits, "scannable" to made.scannable)
    },
    "compareFingerprints" to { it -> compareFingerprints(it.bytes("own"), it.bytes("scanned")) },
)

// -- out --

private val ENCODER = Base64.getUrlEncoder().withoutPadding()

private fun text(bytes: ByteArray): String = ENCODER.encodeToString(bytes)

/** A null is written as null, so that a field is always there. */
private fun record(vararg fields: Pair<String, Any?>): JSONObject {
    val made = JSONObject()
    for ((name, value) in fields) made.put(name, if (value is ByteArray) text(value) else value ?: JSONObject.NULL)
    return made
}

private fun json(key: NewKey): JSONObject {
    val made = record("id" to key.id, "record" to key.record, "publicKey" to key.publicKey)
    return if (key.signature == null) made else made.put("signature", text(key.signature))
}

private fun array(keys: List<NewKey>): JSONArray = JSONArray().apply { keys.forEach { put(json(it)) } }

// -- in --

private fun JSONObject.bytes(name: String): ByteArray =
    try {
        Base64.getUrlDecoder().decode(getString(name))
    } catch (error: IllegalArgumentException) {
        throw JSONException("$name is not base64url") // not an engine's verdict, which IllegalArgumentException would be taken for
    }

private fun JSONObject.bytesOrNull(name: String): ByteArray? = if (isNull(name)) null else bytes(name)

private fun JSONObject.peer(): PeerState = getJSONObject("peer").run {
    PeerState(
        getString("localAccount"),
        bytes("identity"),
        getInt("registrationId"),
        getString("peerAccount"),
        bytesOrNull("session"),
        bytesOrNull("peerIdentity"),
    )
}

private fun JSONObject.message(): Ciphertext = getJSONObject("message").run { Ciphertext(getInt("type"), bytes("body")) }

private fun JSONObject.party(name: String): FingerprintParty = getJSONObject(name).run { FingerprintParty(bytes("identifier"), bytes("identityKey")) }

private fun JSONObject.bundle(): Bundle = getJSONObject("bundle").run {
    val signed = { name: String -> getJSONObject(name).run { SignedPublicPreKey(getInt("id"), bytes("publicKey"), bytes("signature")) } }
    val preKey = if (isNull("preKey")) null else getJSONObject("preKey").run { PublicPreKey(getInt("id"), bytes("publicKey")) }
    Bundle(bytes("identityKey"), getInt("registrationId"), signed("signedPreKey"), preKey, signed("kyberPreKey"))
}
