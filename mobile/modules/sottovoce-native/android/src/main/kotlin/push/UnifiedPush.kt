/**
 * UnifiedPush, the connector's side: broadcasts to and from a distributor that the person has installed. A wrapper of our own over the
 * published protocol (unifiedpush.org, Android specification), since the ready-made packages bring a distributor of Google's along.
 *
 * A push means "connect and look", nothing else. It is encrypted (RFC 8291) to a key whose private half was thrown away when
 * it was made: nobody needs to read what says nothing, and the distributor and its server cannot.
 */
package org.sottovoce.phone.push

import android.app.PendingIntent
import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import java.math.BigInteger
import java.security.KeyPairGenerator
import java.security.MessageDigest
import java.security.SecureRandom
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.Base64
import org.json.JSONObject
import org.sottovoce.phone.Phone

private const val REGISTER = "org.unifiedpush.android.distributor.REGISTER"
private const val UNREGISTER = "org.unifiedpush.android.distributor.UNREGISTER"
private const val MESSAGE_ACK = "org.unifiedpush.android.distributor.MESSAGE_ACK"
private const val NEW_ENDPOINT = "org.unifiedpush.android.connector.NEW_ENDPOINT"
private const val MESSAGE = "org.unifiedpush.android.connector.MESSAGE"
private const val UNREGISTERED = "org.unifiedpush.android.connector.UNREGISTERED"
private const val REGISTRATION_FAILED = "org.unifiedpush.android.connector.REGISTRATION_FAILED"

private const val FILE = "push"
private const val LONGEST_ENDPOINT = 1000

/** Hand messages on through Google's servers, which then learn when somebody gets mail. */
private fun isGoogles(name: String) = name.startsWith("com.google.") || name == "org.unifiedpush.distributor.fcm"

class Distributor(val id: String, val name: String)

class UnifiedPush(private val context: Context, private val tellCore: (JSONObject) -> Unit) {
    private val kept = context.getSharedPreferences(FILE, Context.MODE_PRIVATE)
    private val random = SecureRandom()

    fun distributors(): List<Distributor> {
        val manager = context.packageManager
        return manager.queryBroadcastReceivers(Intent(REGISTER), 0)
            .map { it.activityInfo }
            .filter { it.packageName != context.packageName && !isGoogles(it.packageName) }
            .distinctBy { it.packageName }
            .map { Distributor(it.packageName, it.applicationInfo.loadLabel(manager).toString()) }
    }

    /** Asks for an endpoint; it comes later as an event, and is in [state] from then on. [vapid] is the relay's public key (RFC 8292), if it has one. */
    fun register(distributor: String, vapid: String?) {
        require(distributors().any { it.id == distributor }) { "no such distributor" }
        if (kept.getString("distributor", null) != distributor) unregister()
        val token = kept.getString("token", null) ?: newToken()
        val keys = kept.getString("p256dh", null)?.let { it to kept.getString("auth", null) } ?: newKeys()
        kept.edit().putString("distributor", distributor).putString("token", token).putString("p256dh", keys.first).putString("auth", keys.second).apply()
        val intent = Intent(REGISTER).setPackage(distributor).putExtra("token", token).putExtra("application", context.packageName)
        intent.putExtra("pi", PendingIntent.getBroadcast(context, 0, Intent(), PendingIntent.FLAG_IMMUTABLE)) // says who asks
        if (vapid != null) intent.putExtra("vapid", vapid)
        context.sendBroadcast(intent)
    }

    fun unregister() {
        val distributor = kept.getString("distributor", null)
        val token = kept.getString("token", null)
        if (distributor != null && token != null) context.sendBroadcast(Intent(UNREGISTER).setPackage(distributor).putExtra("token", token))
        kept.edit().clear().apply()
    }

    /** `{"distributor", "endpoint", "p256dh", "auth"}`, each null when there is none. */
    fun state(): JSONObject {
        val state = JSONObject()
        for (name in listOf("distributor", "endpoint", "p256dh", "auth")) state.put(name, kept.getString(name, null) ?: JSONObject.NULL)
        return state
    }

    /** Anybody can send a broadcast; only the distributor knows the token. */
    fun received(intent: Intent) {
        val ours = kept.getString("token", null) ?: return
        val theirs = intent.getStringExtra("token") ?: return
        if (!MessageDigest.isEqual(ours.toByteArray(), theirs.toByteArray())) return
        when (intent.action) {
            NEW_ENDPOINT -> endpoint(intent.getStringExtra("endpoint"))
            MESSAGE -> {
                acknowledge(intent, ours)
                Phone.of(context).pushed()
            }
            UNREGISTERED, REGISTRATION_FAILED -> {
                kept.edit().remove("endpoint").apply()
                tellCore(state().put("kind", "push"))
            }
        }
    }

    private fun endpoint(endpoint: String?) {
        if (endpoint == null || endpoint.length > LONGEST_ENDPOINT || !endpoint.startsWith("https://")) return
        if (endpoint == kept.getString("endpoint", null)) return
        kept.edit().putString("endpoint", endpoint).apply()
        tellCore(state().put("kind", "push"))
    }

    private fun acknowledge(message: Intent, token: String) {
        val id = message.getStringExtra("id") ?: return
        val distributor = kept.getString("distributor", null) ?: return
        context.sendBroadcast(Intent(MESSAGE_ACK).setPackage(distributor).putExtra("token", token).putExtra("id", id))
    }

    private fun newToken(): String = text(ByteArray(32).also(random::nextBytes))

    /** A point on P-256, uncompressed, and 16 bytes: what RFC 8291 section 3.1 and 3.2 ask for. */
    private fun newKeys(): Pair<String, String> {
        val pair = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1"), random) }.generateKeyPair()
        val point = (pair.public as ECPublicKey).w
        return text(byteArrayOf(4) + padded(point.affineX) + padded(point.affineY)) to text(ByteArray(16).also(random::nextBytes))
    }

    private fun padded(number: BigInteger): ByteArray = number.toByteArray().let { bytes ->
        val lean = if (bytes.size > 32) bytes.copyOfRange(bytes.size - 32, bytes.size) else bytes
        ByteArray(32 - lean.size) + lean
    }

    private fun text(bytes: ByteArray): String = Base64.getUrlEncoder().withoutPadding().encodeToString(bytes)
}

/** Exported: distributors are other apps. */
class PushReceiver : BroadcastReceiver() {
    override fun onReceive(context: Context, intent: Intent) = Phone.of(context).push.received(intent)
}
