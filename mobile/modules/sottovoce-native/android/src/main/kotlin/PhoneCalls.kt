/**
 * What JavaScript can ask of the phone, as one function from text to text, like EngineCalls: the module for Expo is then a few
 * lines, and everything here is tested without it. mobile/src/phone/native.ts has the types.
 */
package org.sottovoce.phone

import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Build
import android.os.Handler
import android.os.Looper
import android.os.PowerManager
import android.provider.Settings
import android.telephony.TelephonyManager
import org.json.JSONArray
import org.json.JSONObject
import org.sottovoce.phone.calls.CallEvent
import org.sottovoce.phone.calls.CallWords
import org.sottovoce.phone.mailbox.DeliveryMode
import org.sottovoce.phone.network.NetworkCalls
import org.sottovoce.phone.network.Reply

class PhoneCalls(private val context: Context, private val phone: Phone = Phone.of(context)) {
    private val main = Handler(Looper.getMainLooper())
    private val network = NetworkCalls(phone.identified, phone.anonymous, phone.posts, phone.mailbox)

    /** Answers `{"ok": value}` through [reply], from any thread. Throws on a call that does not exist, or arguments of another shape. */
    fun answer(name: String, arguments: String, reply: (String) -> Unit) {
        val given = JSONObject(arguments)
        val answered: Reply = { value -> reply(JSONObject().put("ok", value ?: JSONObject.NULL).toString()) }
        if (network.answer(name, given, answered)) return
        val call = CALLS[name] ?: throw IllegalArgumentException("the phone has no such call")
        call(given, answered)
    }

    internal fun call(it: JSONObject) {
        val call = it.getString("call")
        val event = when (it.getString("what")) {
            "rings" -> CallEvent.CoreRings(call, it.getJSONObject("words").callWords())
            "calls" -> CallEvent.CoreCalls(call, it.getJSONObject("words").callWords())
            "answered" -> CallEvent.CoreAnswered(call)
            "connected" -> CallEvent.CoreConnected(call)
            "ended" -> CallEvent.CoreEnded(call)
            else -> throw IllegalArgumentException("no such word about a call")
        }
        phone.calls.tell(event)
    }

    internal fun unlock(it: JSONObject, reply: Reply) {
        main.post {
            val activity = phone.activity
            if (activity == null) reply(false) else phone.lock.unlock(activity, it.getString("title"), it.getString("cancel"), reply)
        }
    }

    internal fun onMain(work: () -> Unit, reply: Reply) {
        main.post {
            work()
            reply(null)
        }
    }

    internal fun setSecure(on: Boolean, reply: Reply) = onMain({ phone.screen.set(on, phone.activity) }, reply)

    internal fun setIncognito(on: Boolean) = phone.keyboard.set(on)

    internal fun exempt(): Boolean = context.system<PowerManager>().isIgnoringBatteryOptimizations(context.packageName)

    internal fun askExemption() {
        val ask = Intent(Settings.ACTION_REQUEST_IGNORE_BATTERY_OPTIMIZATIONS, Uri.fromParts("package", context.packageName, null))
        context.startActivity(ask.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK))
    }

    /** ISO 3166-1, two letters: of the network, else of the SIM card. Neither needs a permission. */
    internal fun country(): String? {
        val telephony = context.getSystemService(TelephonyManager::class.java) ?: return null
        return listOf(telephony.networkCountryIso, telephony.simCountryIso).firstOrNull { it?.length == 2 }?.uppercase()
    }

    internal fun about(): JSONObject = JSONObject().put("android", "${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})").put("model", Build.MODEL)

    internal val on get() = phone

    companion object {
        val NAMES: Set<String> get() = CALLS.keys
    }
}

private typealias Asked = PhoneCalls.(JSONObject, Reply) -> Unit

/** A call that is done when it returns. */
private fun now(work: PhoneCalls.(JSONObject) -> Any?): Asked = { it, reply -> reply(work(it).takeIf { value -> value != Unit }) }

private val CALLS: Map<String, Asked> = mapOf(
    "listen" to now { on.coreListens() },
    "timerSet" to now { on.timers.set(it.getInt("id"), it.getLong("ms")) },
    "timerCancel" to now { on.timers.cancel(it.getInt("id")) },
    "settled" to now { on.settled() },
    "delivery" to now { on.delivery.mode.word },
    "setDelivery" to now { on.delivery.mode = requireNotNull(DeliveryMode.of(it.getString("mode"))) { "no such mode" } },
    "batteryExempt" to now { exempt() },
    "askBatteryExemption" to now { askExemption() },
    "distributors" to now { JSONArray(on.push.distributors().map { one -> JSONObject().put("id", one.id).put("name", one.name) }) },
    "pushRegister" to now { on.push.register(it.getString("distributor"), it.text("vapid")) },
    "pushUnregister" to now { on.push.unregister() },
    "pushState" to now { on.push.state() },
    "setWords" to now { on.notices.setWords(it) },
    "noticesAllowed" to now { on.notices.allowed() },
    "showMessage" to now { on.notices.showMessage(it.getString("peer"), it.getString("title"), it.getString("body"), it.getInt("unread")) },
    "clearMessage" to now { on.notices.clear(it.getString("peer")) },
    "call" to now { call(it) },
    "routes" to now { on.calls.routes() },
    "setRoute" to now { on.calls.setRoute(it.getString("route")) },
    "setSecure" to { it, reply -> setSecure(it.getBoolean("on"), reply) },
    "setIncognito" to now { setIncognito(it.getBoolean("on")) },
    "copy" to { it, reply -> onMain({ on.clipboard.copy(it.getString("text"), it.getInt("clearAfterS")) }, reply) },
    "paste" to now { on.clipboard.read() },
    "lockAvailable" to now { on.lock.available() },
    "unlock" to { it, reply -> unlock(it, reply) },
    "country" to now { country() },
    "about" to now { about() },
)

private fun JSONObject.text(name: String): String? = if (isNull(name)) null else getString(name)

private fun JSONObject.callWords() = CallWords(getString("title"), getString("body"), getString("answer"), getString("decline"), getString("hangUp"))
