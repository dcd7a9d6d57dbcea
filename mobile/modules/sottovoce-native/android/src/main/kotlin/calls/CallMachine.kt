/**
 * One call between three parties that all may end it: the core, Android's Telecom, and the person at the notification. Rules without
 * Android: an event comes in, effects go out. What a call says and carries is the core's; here is only who is told what.
 */
package org.sottovoce.phone.calls

sealed interface CallEvent {
    /** The core has a call for somebody to answer. [words] are shown as they are. */
    data class CoreRings(val call: String, val words: CallWords) : CallEvent

    data class CoreCalls(val call: String, val words: CallWords) : CallEvent

    /** Answered on our own screen. */
    data class CoreAnswered(val call: String) : CallEvent

    /** Speech flows. */
    data class CoreConnected(val call: String) : CallEvent

    data class CoreEnded(val call: String) : CallEvent

    /** Telecom lets it ring, or lets an outgoing call begin. */
    data class TelecomReady(val call: String) : CallEvent

    /** Telecom will not have it: another call that may not be interrupted. */
    data class TelecomRefused(val call: String) : CallEvent

    /** There is no Telecom here, or it does not know us. */
    data class TelecomAbsent(val call: String) : CallEvent

    /** From a car, a watch, a headset or the notification. */
    data class PersonAnswers(val call: String) : CallEvent

    data class PersonDeclines(val call: String) : CallEvent

    data class PersonHangsUp(val call: String) : CallEvent

    /** Another call (of the telephone, say) was answered. */
    data class Held(val call: String, val held: Boolean) : CallEvent
}

/** What our screens would say; the phone's side composes no text. */
data class CallWords(val title: String, val body: String, val answer: String, val decline: String, val hangUp: String)

sealed interface CallEffect {
    data class AskTelecom(val call: String, val incoming: Boolean) : CallEffect

    data class ShowRinging(val call: String, val words: CallWords) : CallEffect

    data class ShowOngoing(val call: String, val words: CallWords) : CallEffect

    data object HideNotice : CallEffect

    /** The service that may use the microphone while the app is not in front. */
    data object StartService : CallEffect

    data object StopService : CallEffect

    data class SetActive(val call: String) : CallEffect

    data class SetDisconnected(val call: String, val why: Why) : CallEffect

    data class TellCore(val call: String, val what: Told) : CallEffect
}

enum class Why { ENDED_HERE, ENDED_THERE, DECLINED, BUSY }

/** [BUSY]: Telecom refused it. [HELD] and [RESUMED]: the microphone must rest meanwhile. */
enum class Told { ANSWER, DECLINE, BUSY, HANG_UP, HELD, RESUMED }

enum class CallState { ASKED, RINGING, ANSWERED, CALLING, ACTIVE }

class CallMachine {
    private class Call(val id: String, val words: CallWords, val incoming: Boolean) {
        var state = CallState.ASKED
        var telecom = false
    }

    private var call: Call? = null
    private val effects = mutableListOf<CallEffect>()

    val state: CallState? get() = call?.state

    fun on(event: CallEvent): List<CallEffect> {
        when (event) {
            is CallEvent.CoreRings -> begin(event.call, event.words, incoming = true)
            is CallEvent.CoreCalls -> begin(event.call, event.words, incoming = false)
            is CallEvent.CoreAnswered -> ours(event.call)?.let { answered(it) }
            is CallEvent.CoreConnected -> ours(event.call)?.let { connected(it) }
            is CallEvent.CoreEnded -> ours(event.call)?.let { end(it, Why.ENDED_THERE) }
            is CallEvent.TelecomReady -> ours(event.call)?.let { ready(it, telecom = true) }
            is CallEvent.TelecomAbsent -> ours(event.call)?.let { ready(it, telecom = false) }
            is CallEvent.TelecomRefused -> ours(event.call)?.let { refused(it) }
            is CallEvent.PersonAnswers -> ours(event.call)?.let { personAnswers(it) }
            is CallEvent.PersonDeclines -> ours(event.call)?.let { personEnds(it) }
            is CallEvent.PersonHangsUp -> ours(event.call)?.let { personEnds(it) }
            is CallEvent.Held -> ours(event.call)?.let { held(it, event.held) }
        }
        return effects.toList().also { effects.clear() }
    }

    /** A word about a call that is over, or never was, changes nothing. */
    private fun ours(id: String): Call? = call?.takeIf { it.id == id }

    private fun begin(id: String, words: CallWords, incoming: Boolean) {
        val now = call
        if (now?.id == id) return
        if (now != null) {
            effects += CallEffect.TellCore(id, Told.BUSY) // the core knows better; this is for when it does not
            return
        }
        call = Call(id, words, incoming)
        effects += CallEffect.AskTelecom(id, incoming)
    }

    private fun ready(now: Call, telecom: Boolean) {
        if (telecom) now.telecom = true
        if (now.state != CallState.ASKED) {
            // Telecom was slower than the person.
            if (telecom && (now.state == CallState.ANSWERED || now.state == CallState.ACTIVE)) effects += CallEffect.SetActive(now.id)
            return
        }
        if (now.incoming) {
            now.state = CallState.RINGING
            effects += CallEffect.ShowRinging(now.id, now.words)
        } else {
            now.state = CallState.CALLING
            effects += CallEffect.StartService
            effects += CallEffect.ShowOngoing(now.id, now.words)
        }
    }

    private fun refused(now: Call) {
        effects += CallEffect.TellCore(now.id, Told.BUSY)
        hide(now)
    }

    private fun personAnswers(now: Call) {
        if (now.state != CallState.RINGING) return
        effects += CallEffect.TellCore(now.id, Told.ANSWER)
        answered(now)
    }

    private fun answered(now: Call) {
        if (!now.incoming || now.state != CallState.RINGING && now.state != CallState.ASKED) return
        now.state = CallState.ANSWERED
        // The service first: the microphone is only given to a service that was started while somebody was at the phone.
        effects += CallEffect.StartService
        effects += CallEffect.ShowOngoing(now.id, now.words)
        if (now.telecom) effects += CallEffect.SetActive(now.id)
    }

    private fun connected(now: Call) {
        if (now.state == CallState.ACTIVE) return
        if (now.incoming && now.state != CallState.ANSWERED) answered(now)
        if (!now.incoming && now.state == CallState.ASKED) ready(now, telecom = false)
        now.state = CallState.ACTIVE
        if (now.telecom && !now.incoming) effects += CallEffect.SetActive(now.id)
    }

    private fun personEnds(now: Call) {
        val ringing = now.state == CallState.RINGING || now.state == CallState.ASKED && now.incoming
        effects += CallEffect.TellCore(now.id, if (ringing) Told.DECLINE else Told.HANG_UP)
        end(now, if (ringing) Why.DECLINED else Why.ENDED_HERE)
    }

    private fun held(now: Call, held: Boolean) {
        if (now.state != CallState.ACTIVE && now.state != CallState.ANSWERED) return
        effects += CallEffect.TellCore(now.id, if (held) Told.HELD else Told.RESUMED)
    }

    private fun end(now: Call, why: Why) {
        hide(now)
        // Also when Telecom had not answered yet: its connection may come in a moment.
        effects += CallEffect.SetDisconnected(now.id, why)
    }

    private fun hide(now: Call) {
        call = null
        if (now.state == CallState.ASKED) return
        effects += CallEffect.HideNotice
        if (now.state != CallState.RINGING) effects += CallEffect.StopService
    }
}
