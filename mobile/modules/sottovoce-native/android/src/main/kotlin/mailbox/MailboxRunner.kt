/** Carries out what MailboxKeeper decides, one event after the other on one thread. */
package org.sottovoce.phone.mailbox

import java.util.concurrent.Executor
import org.sottovoce.phone.network.Socket
import org.sottovoce.phone.network.SocketListener
import org.sottovoce.phone.network.Sockets

/** What the core hears of its socket, and what the phone does for it. */
interface MailboxSurroundings {
    fun opened(coreId: Int)

    fun received(coreId: Int, text: String)

    fun closed(coreId: Int, code: Int, httpStatus: Int?)

    fun wakeCore()

    fun stayAwake()

    /** One timer, that must also fire in Doze; null cancels it. */
    fun timer(afterMs: Long?)

    fun stateChanged(state: MailboxState)
}

class MailboxRunner(
    private val keeper: MailboxKeeper,
    private val sockets: Sockets,
    private val surroundings: MailboxSurroundings,
    /** Runs one thing at a time, in order. */
    private val thread: Executor,
) {
    private val open = mutableMapOf<Int, Socket>()
    private var told = keeper.state

    fun tell(event: MailboxEvent) = thread.execute {
        keeper.on(event).forEach(::carryOut)
        if (event is MailboxEvent.Ended) open.remove(event.session)
        if (keeper.state != told) {
            told = keeper.state
            surroundings.stateChanged(told)
        }
    }

    private fun carryOut(effect: MailboxEffect) {
        when (effect) {
            is MailboxEffect.Connect -> open[effect.session] = sockets.open(effect.login.url, mapOf("Authorization" to effect.login.authorization), Listener(effect.session))
            is MailboxEffect.Send -> open[effect.session]?.send(effect.text)
            is MailboxEffect.Close -> open.remove(effect.session)?.close(effect.code)
            is MailboxEffect.TellOpened -> surroundings.opened(effect.coreId)
            is MailboxEffect.TellReceived -> surroundings.received(effect.coreId, effect.text)
            is MailboxEffect.TellClosed -> surroundings.closed(effect.coreId, effect.code, effect.httpStatus)
            is MailboxEffect.WakeCore -> surroundings.wakeCore()
            is MailboxEffect.WakeMeAfter -> surroundings.timer(effect.ms)
            is MailboxEffect.NoTimer -> surroundings.timer(null)
            is MailboxEffect.StayAwake -> surroundings.stayAwake()
        }
    }

    private inner class Listener(private val session: Int) : SocketListener {
        override fun opened() = tell(MailboxEvent.Opened(session))

        override fun received(text: String) = tell(MailboxEvent.Received(session, text))

        override fun closed(code: Int, httpStatus: Int?) = tell(MailboxEvent.Ended(session, code, httpStatus))
    }
}
