/** Carries out what CallMachine decides. */
package org.sottovoce.phone.calls

import android.content.Context
import android.content.Intent
import android.telecom.CallAudioState
import java.util.concurrent.Executor
import org.json.JSONArray
import org.json.JSONObject
import org.sottovoce.phone.notices.Notices
import org.sottovoce.phone.startInForeground

/** The words of AudioRoute in mobile/src/ui/device/device.ts. */
private val ROUTES = mapOf(
    "earpiece" to CallAudioState.ROUTE_EARPIECE,
    "speaker" to CallAudioState.ROUTE_SPEAKER,
    "bluetooth" to CallAudioState.ROUTE_BLUETOOTH,
    "wired" to CallAudioState.ROUTE_WIRED_HEADSET,
)

class Calls(
    private val context: Context,
    private val notices: Notices,
    private val thread: Executor,
    private val tellCore: (JSONObject) -> Unit,
    /** While a call is there, and no longer, our activity may come over the lock screen. */
    private val overLockScreen: (Boolean) -> Unit,
) {
    private val machine = CallMachine()
    private val connections = CallConnections(context)
    private var audio: CallAudioState? = null

    fun tell(event: CallEvent) = thread.execute { machine.on(event).forEach(::carryOut) }

    internal fun made(connection: CallConnection, incoming: Boolean) {
        connections.made(connection)
        if (!incoming) tell(CallEvent.TelecomReady(connection.call))
    }

    private fun carryOut(effect: CallEffect) {
        when (effect) {
            is CallEffect.AskTelecom -> if (!connections.ask(effect.call, effect.incoming)) tell(CallEvent.TelecomAbsent(effect.call))
            is CallEffect.ShowRinging -> {
                overLockScreen(true)
                notices.showRinging(effect.call, effect.words)
            }
            is CallEffect.ShowOngoing -> notices.prepareOngoing(effect.call, effect.words)
            is CallEffect.HideNotice -> {
                overLockScreen(false)
                notices.hideCall()
            }
            is CallEffect.StartService -> context.startInForeground(Intent(context, CallService::class.java))
            is CallEffect.StopService -> context.stopService(Intent(context, CallService::class.java))
            is CallEffect.SetActive -> connections.setActive(effect.call)
            is CallEffect.SetDisconnected -> connections.setDisconnected(effect.call, effect.why)
            is CallEffect.TellCore -> tellCore(JSONObject().put("kind", "call").put("call", effect.call).put("what", effect.what.name.lowercase()))
        }
    }

    // -- where the sound goes --

    internal fun routesChanged(state: CallAudioState) {
        audio = state
        tellCore(routes().put("kind", "routes"))
    }

    fun routes(): JSONObject {
        val now = audio
        val possible = ROUTES.filterValues { now != null && now.supportedRouteMask and it != 0 }.keys
        val current = ROUTES.entries.firstOrNull { it.value == now?.route }?.key
        return JSONObject().put("routes", JSONArray(possible)).put("current", current ?: JSONObject.NULL)
    }

    @Suppress("DEPRECATION") // the newer call audio endpoints need API 34
    fun setRoute(route: String) {
        val wanted = requireNotNull(ROUTES[route]) { "no such route" }
        connections.current()?.setAudioRoute(wanted)
    }
}
