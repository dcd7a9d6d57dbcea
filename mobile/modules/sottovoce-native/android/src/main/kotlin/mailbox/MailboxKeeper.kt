/**
 * Who holds the mailbox socket, as rules without threads, clocks or sockets: an event comes in, effects go out, and MailboxRunner carries
 * them out.
 *
 * The socket is held here because it must outlive a pause of JavaScript: here pings are answered and a lost connection is
 * noticed. Everything else is the core's: nothing is read out of a frame but its type, and nothing is ever acknowledged here. A
 * session that came up without the core is handed to it with everything that it has received, from hello on, so the core sees
 * an ordinary session. It is at most what the relay leaves unacknowledged (docs/protocol.md: 256 envelopes or 4 MiB).
 */
package org.sottovoce.phone.mailbox

import kotlin.math.min
import org.json.JSONException
import org.json.JSONObject

data class Login(val url: String, val authorization: String) {
    override fun toString() = "Login" // never into a log by accident
}

sealed interface MailboxEvent {
    /** The person wants mail while the app is not open, or no longer does. */
    data class Wanted(val wanted: Boolean) : MailboxEvent

    /** The core opens its mailbox session under an id of its own. */
    data class CoreOpens(val coreId: Int, val login: Login) : MailboxEvent

    data class CoreSends(val coreId: Int, val text: String) : MailboxEvent

    data class CoreCloses(val coreId: Int, val code: Int) : MailboxEvent

    /** JavaScript is gone, and every socket it had with it. */
    data object CoreGone : MailboxEvent

    data class Opened(val session: Int) : MailboxEvent

    data class Received(val session: Int, val text: String) : MailboxEvent

    data class Ended(val session: Int, val code: Int, val httpStatus: Int?) : MailboxEvent

    /** The timer that [MailboxEffect.WakeMeAfter] asked for. */
    data object TimeIsUp : MailboxEvent

    data object NetworkCame : MailboxEvent
}

sealed interface MailboxEffect {
    data class Connect(val session: Int, val login: Login) : MailboxEffect

    data class Send(val session: Int, val text: String) : MailboxEffect

    data class Close(val session: Int, val code: Int) : MailboxEffect

    data class TellOpened(val coreId: Int) : MailboxEffect

    data class TellReceived(val coreId: Int, val text: String) : MailboxEffect

    data class TellClosed(val coreId: Int, val code: Int, val httpStatus: Int?) : MailboxEffect

    /** Have the core run, whether or not it is there: mail waits, or its login is needed. */
    data object WakeCore : MailboxEffect

    /** Replaces the timer that was set before. */
    data class WakeMeAfter(val ms: Long) : MailboxEffect

    data object NoTimer : MailboxEffect

    /** The processor stays awake for as long as it takes to settle what came. */
    data object StayAwake : MailboxEffect
}

/** What the notification of the service, and the page about delivery, may say. */
enum class MailboxState { OFF, NEEDS_LOGIN, CONNECTING, LIVE, WAITING, STOPPED }

private const val HELLO_WITHIN_MS = 20_000L

/** Over the relay's own patience, so that a slow relay is the one to end the session. */
private const val GRACE_S = 5L

/** How long the core may take to reconnect before it is done without it: its timers rest while the app is in the background. */
private const val CORE_RECONNECTS_WITHIN_MS = 90_000L
private const val FIRST_RETRY_MS = 2_000L
private const val LAST_RETRY_MS = 300_000L
private const val HELD_CHARACTERS = 8 * 1024 * 1024 // base64url of 4 MiB in flight, and signals
private const val GAVE_UP = 4000

/** The account is gone, or a newer session has it: nothing here may try again (docs/protocol.md, close codes). */
private val FINAL = setOf(4401, 4409)

class MailboxKeeper(
    /** 0 until 1, for jitter: many phones lose the same relay at the same moment. */
    private val random: () -> Double,
) {
    private class Session(val number: Int, val login: Login, var coreId: Int?) {
        var opened = false
        val held = mutableListOf<String>() // only while no core has it
        var heldCharacters = 0
        var silenceMs = HELLO_WITHIN_MS
        var woke = false
    }

    private var wanted = false
    private var login: Login? = null
    private var session: Session? = null
    private var sessions = 0
    private var failures = 0
    private var stopped = false
    private var waiting = false
    private val effects = mutableListOf<MailboxEffect>()

    val state: MailboxState
        get() = when {
            session?.opened == true -> MailboxState.LIVE
            session != null -> MailboxState.CONNECTING
            !wanted -> MailboxState.OFF
            stopped -> MailboxState.STOPPED
            login == null -> MailboxState.NEEDS_LOGIN
            else -> MailboxState.WAITING
        }

    fun on(event: MailboxEvent): List<MailboxEffect> {
        when (event) {
            is MailboxEvent.Wanted -> wanted(event.wanted)
            is MailboxEvent.CoreOpens -> coreOpens(event.coreId, event.login)
            is MailboxEvent.CoreSends -> session?.takeIf { it.coreId == event.coreId }?.let { effects += MailboxEffect.Send(it.number, event.text) }
            is MailboxEvent.CoreCloses -> coreCloses(event.coreId, event.code)
            is MailboxEvent.CoreGone -> coreGone()
            is MailboxEvent.Opened -> live(event.session)?.let { opened(it) }
            is MailboxEvent.Received -> live(event.session)?.let { received(it, event.text) }
            is MailboxEvent.Ended -> live(event.session)?.let { ended(it, event.code, event.httpStatus) }
            is MailboxEvent.TimeIsUp -> timeIsUp()
            is MailboxEvent.NetworkCame -> if (waiting) connect(null)
        }
        return effects.toList().also { effects.clear() }
    }

    /** A session that was replaced may still have something to say; nobody listens. */
    private fun live(number: Int): Session? = session?.takeIf { it.number == number }

    private fun wanted(on: Boolean) {
        if (wanted == on) return
        wanted = on
        stopped = false
        val now = session
        if (!on) {
            if (now != null && now.coreId == null) drop(now, 1000)
            if (session == null) rest()
        } else if (now == null) {
            if (login == null) effects += MailboxEffect.WakeCore else connect(null)
        }
    }

    private fun coreOpens(coreId: Int, wish: Login) {
        stopped = false
        login = wish
        failures = 0
        val now = session
        if (now != null && now.coreId == null && now.login == wish) {
            now.coreId = coreId
            if (now.opened) effects += MailboxEffect.TellOpened(coreId)
            now.held.forEach { effects += MailboxEffect.TellReceived(coreId, it) }
            now.held.clear()
            now.heldCharacters = 0
            return
        }
        if (now != null) {
            now.coreId?.let { effects += MailboxEffect.TellClosed(it, GAVE_UP, null) }
            drop(now, 1000)
        }
        connect(coreId)
    }

    private fun coreCloses(coreId: Int, code: Int) {
        val now = session?.takeIf { it.coreId == coreId } ?: return
        drop(now, code)
        effects += MailboxEffect.TellClosed(coreId, code, null)
        // The core has its reasons, and will mostly be back in a moment; if it cannot, mail should come all the same.
        if (wanted) retryAfter(CORE_RECONNECTS_WITHIN_MS) else rest()
    }

    private fun coreGone() {
        val now = session
        // What it had received and not acknowledged is known to nobody: a new session brings it again.
        if (now?.coreId != null) drop(now, 1000)
        if (session != null) return
        if (wanted && login != null && !stopped) connect(null) else rest()
    }

    private fun opened(now: Session) {
        now.opened = true
        now.coreId?.let { effects += MailboxEffect.TellOpened(it) }
        watch(now)
    }

    private fun received(now: Session, text: String) {
        val frame = try {
            JSONObject(text)
        } catch (error: JSONException) {
            null // the core's to judge
        }
        when (frame?.optString("type")) {
            "hello" -> {
                failures = 0
                now.silenceMs = (frame.optLong("ping_every_s", 25) + frame.optLong("answer_within_s", 10) + GRACE_S).coerceIn(10, 3600) * 1000
            }
            "ping" -> effects += MailboxEffect.Send(now.number, JSONObject().put("type", "pong").put("n", frame.optLong("n")).toString())
            "deliver", "signal" -> {
                effects += MailboxEffect.StayAwake
                if (now.coreId == null && !now.woke) {
                    now.woke = true
                    effects += MailboxEffect.WakeCore
                }
            }
        }
        val coreId = now.coreId
        if (coreId != null) {
            effects += MailboxEffect.TellReceived(coreId, text)
        } else if (frame?.optString("type") != "ping") {
            now.held += text
            now.heldCharacters += text.length
            if (now.heldCharacters > HELD_CHARACTERS) return ended(now, GAVE_UP, null, close = true) // no relay of ours does this
        }
        watch(now)
    }

    private fun ended(now: Session, code: Int, httpStatus: Int?, close: Boolean = false) {
        session = null
        if (close) effects += MailboxEffect.Close(now.number, code)
        val coreId = now.coreId
        if (coreId != null) effects += MailboxEffect.TellClosed(coreId, code, httpStatus)
        if (code in FINAL || httpStatus == 401) stopped = true
        if (!wanted || stopped) return rest()
        failures += 1
        if (coreId != null) retryAfter(CORE_RECONNECTS_WITHIN_MS) else retryAfter(backoff())
    }

    private fun timeIsUp() {
        val now = session
        if (now != null) {
            ended(now, GAVE_UP, null, close = true) // silent for too long
        } else if (waiting) {
            connect(null)
        }
    }

    private fun connect(coreId: Int?) {
        val with = login ?: return
        waiting = false
        sessions += 1
        val now = Session(sessions, with, coreId)
        session = now
        effects += MailboxEffect.Connect(now.number, with)
        watch(now)
    }

    private fun drop(now: Session, code: Int) {
        session = null
        effects += MailboxEffect.Close(now.number, code)
    }

    private fun watch(now: Session) {
        effects += MailboxEffect.WakeMeAfter(now.silenceMs)
    }

    private fun retryAfter(ms: Long) {
        waiting = true
        effects += MailboxEffect.WakeMeAfter(ms)
    }

    private fun rest() {
        waiting = false
        effects += MailboxEffect.NoTimer
    }

    /** Doubling from 2 s to 5 min, each time somewhere in the upper half. */
    private fun backoff(): Long {
        val whole = min(LAST_RETRY_MS, FIRST_RETRY_MS shl min(failures - 1, 10))
        return whole / 2 + (whole / 2 * random()).toLong()
    }
}
