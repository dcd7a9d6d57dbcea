package org.sottovoce.phone.mailbox

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

private val LOGIN = Login("wss://relay.example/v1/mailbox", "Bearer x")
private const val HELLO = """{"type":"hello","protocol":1,"now":1789000000,"ping_every_s":25,"answer_within_s":10}"""
private const val DELIVER = """{"type":"deliver","envelopes":[{"id":"a","at":1,"body":"x"}]}"""
private const val DRAINED = """{"type":"drained"}"""

/** One keeper, and what it did with each event. */
private class Kept(jitter: Double = 0.0) {
    val keeper = MailboxKeeper { jitter }

    fun on(event: MailboxEvent): List<MailboxEffect> = keeper.on(event)

    /** Up and greeted, without a core. */
    fun liveAlone(): Kept = apply {
        on(MailboxEvent.Wanted(true))
        on(MailboxEvent.CoreOpens(1, LOGIN))
        on(MailboxEvent.CoreGone)
        on(MailboxEvent.Opened(2))
        on(MailboxEvent.Received(2, HELLO))
    }

    /** Up and greeted, with the core's socket 1. */
    fun liveWithCore(): Kept = apply {
        on(MailboxEvent.Wanted(true))
        on(MailboxEvent.CoreOpens(1, LOGIN))
        on(MailboxEvent.Opened(1))
        on(MailboxEvent.Received(1, HELLO))
    }
}

class MailboxKeeperTest {
    @Test
    fun `wanted without a login wakes the core, which alone has it`() {
        val kept = Kept()
        assertEquals(listOf(MailboxEffect.WakeCore), kept.on(MailboxEvent.Wanted(true)))
        assertEquals(MailboxState.NEEDS_LOGIN, kept.keeper.state)
        assertEquals(emptyList<MailboxEffect>(), kept.on(MailboxEvent.Wanted(true)))
    }

    @Test
    fun `the core's session is passed through in order, and pings are answered here as well`() {
        val kept = Kept()
        kept.on(MailboxEvent.Wanted(true))
        assertEquals(
            listOf(MailboxEffect.Connect(1, LOGIN), MailboxEffect.WakeMeAfter(20_000)),
            kept.on(MailboxEvent.CoreOpens(7, LOGIN)),
        )
        assertEquals(listOf(MailboxEffect.TellOpened(7), MailboxEffect.WakeMeAfter(20_000)), kept.on(MailboxEvent.Opened(1)))
        assertEquals(listOf(MailboxEffect.TellReceived(7, HELLO), MailboxEffect.WakeMeAfter(40_000)), kept.on(MailboxEvent.Received(1, HELLO)))
        assertEquals(
            listOf(MailboxEffect.StayAwake, MailboxEffect.TellReceived(7, DELIVER), MailboxEffect.WakeMeAfter(40_000)),
            kept.on(MailboxEvent.Received(1, DELIVER)),
        )
        val ping = """{"type":"ping","n":7}"""
        assertEquals(
            listOf(MailboxEffect.Send(1, """{"type":"pong","n":7}"""), MailboxEffect.TellReceived(7, ping), MailboxEffect.WakeMeAfter(40_000)),
            kept.on(MailboxEvent.Received(1, ping)),
        )
        assertEquals(listOf(MailboxEffect.Send(1, "an ack")), kept.on(MailboxEvent.CoreSends(7, "an ack")))
        assertEquals(emptyList<MailboxEffect>(), kept.on(MailboxEvent.CoreSends(6, "of an older socket")))
    }

    @Test
    fun `mail that comes while nobody is there wakes the core once and is handed over whole`() {
        val kept = Kept().liveAlone()
        assertTrue(MailboxEffect.WakeCore in kept.on(MailboxEvent.Received(2, DELIVER)))
        assertFalse(MailboxEffect.WakeCore in kept.on(MailboxEvent.Received(2, DELIVER)))
        kept.on(MailboxEvent.Received(2, DRAINED))
        kept.on(MailboxEvent.Received(2, """{"type":"ping","n":1}"""))
        assertEquals(
            listOf(MailboxEffect.TellOpened(9)) + listOf(HELLO, DELIVER, DELIVER, DRAINED).map { MailboxEffect.TellReceived(9, it) },
            kept.on(MailboxEvent.CoreOpens(9, LOGIN)),
        )
        assertEquals(listOf(MailboxEffect.TellReceived(9, DELIVER)), kept.on(MailboxEvent.Received(2, DELIVER)).filterIsInstance<MailboxEffect.TellReceived>())
    }

    @Test
    fun `nothing is ever acknowledged here`() {
        val kept = Kept().liveAlone()
        val effects = List(300) { kept.on(MailboxEvent.Received(2, DELIVER)) }.flatten() + kept.on(MailboxEvent.Received(2, DRAINED))
        assertEquals(emptyList<MailboxEffect>(), effects.filterIsInstance<MailboxEffect.Send>())
    }

    @Test
    fun `when JavaScript dies its session goes too, since nobody knows what it had not acknowledged`() {
        val kept = Kept().liveWithCore()
        assertEquals(
            listOf(MailboxEffect.Close(1, 1000), MailboxEffect.Connect(2, LOGIN), MailboxEffect.WakeMeAfter(20_000)),
            kept.on(MailboxEvent.CoreGone),
        )
        assertEquals(emptyList<MailboxEffect>(), kept.on(MailboxEvent.Received(1, DELIVER)))
    }

    @Test
    fun `with another login the session is another`() {
        val kept = Kept().liveAlone()
        val other = Login(LOGIN.url, "Bearer y")
        assertEquals(
            listOf(MailboxEffect.Close(2, 1000), MailboxEffect.Connect(3, other), MailboxEffect.WakeMeAfter(20_000)),
            kept.on(MailboxEvent.CoreOpens(2, other)),
        )
    }

    @Test
    fun `a second socket of the core ends the first`() {
        val kept = Kept().liveWithCore()
        assertEquals(
            listOf(MailboxEffect.TellClosed(1, 4000, null), MailboxEffect.Close(1, 1000), MailboxEffect.Connect(2, LOGIN), MailboxEffect.WakeMeAfter(20_000)),
            kept.on(MailboxEvent.CoreOpens(2, LOGIN)),
        )
    }

    @Test
    fun `alone it comes back by itself, later each time, and at once when there is a network`() {
        val kept = Kept(jitter = 0.999).liveAlone()
        val waits = mutableListOf<Long>()
        kept.on(MailboxEvent.Ended(2, 1006, null)).filterIsInstance<MailboxEffect.WakeMeAfter>().forEach { waits += it.ms }
        for (session in 3..14) {
            assertEquals(MailboxState.WAITING, kept.keeper.state)
            assertEquals(MailboxEffect.Connect(session, LOGIN), kept.on(MailboxEvent.TimeIsUp).first())
            kept.on(MailboxEvent.Ended(session, 1006, null)).filterIsInstance<MailboxEffect.WakeMeAfter>().forEach { waits += it.ms }
        }
        assertEquals(waits.sorted(), waits)
        assertTrue(waits.first() in 1_000..2_000 && waits.last() in 290_000..300_000)
        assertEquals(MailboxEffect.Connect(15, LOGIN), kept.on(MailboxEvent.NetworkCame).first())
        assertEquals(emptyList<MailboxEffect>(), kept.on(MailboxEvent.NetworkCame))
    }

    @Test
    fun `the core is left its own time to come back, and then it is done without it`() {
        val kept = Kept().liveWithCore()
        assertEquals(listOf(MailboxEffect.TellClosed(1, 1012, null), MailboxEffect.WakeMeAfter(90_000)), kept.on(MailboxEvent.Ended(1, 1012, null)))
        assertEquals(MailboxEffect.Connect(2, LOGIN), kept.on(MailboxEvent.TimeIsUp).first())
        assertEquals(emptyList<MailboxEffect>(), kept.on(MailboxEvent.CoreOpens(2, LOGIN))) // takes the one that is under way
        assertEquals(MailboxEffect.TellOpened(2), kept.on(MailboxEvent.Opened(2)).first())
    }

    @Test
    fun `silence ends a session, with and without a core`() {
        assertEquals(
            listOf(MailboxEffect.Close(1, 4000), MailboxEffect.TellClosed(1, 4000, null), MailboxEffect.WakeMeAfter(90_000)),
            Kept().liveWithCore().on(MailboxEvent.TimeIsUp),
        )
        assertEquals(listOf(MailboxEffect.Close(2, 4000), MailboxEffect.WakeMeAfter(1_000)), Kept().liveAlone().on(MailboxEvent.TimeIsUp))
    }

    @Test
    fun `an account that is gone or elsewhere is not asked for again`() {
        for ((code, status) in listOf(4401 to null, 4409 to null, 1006 to 401)) {
            val kept = Kept().liveAlone()
            assertEquals(listOf(MailboxEffect.NoTimer), kept.on(MailboxEvent.Ended(2, code, status)))
            assertEquals(MailboxState.STOPPED, kept.keeper.state)
            assertEquals(emptyList<MailboxEffect>(), kept.on(MailboxEvent.NetworkCame) + kept.on(MailboxEvent.TimeIsUp))
            assertEquals(MailboxEffect.Connect(3, LOGIN), kept.on(MailboxEvent.CoreOpens(2, LOGIN)).first()) // the core decides
        }
    }

    @Test
    fun `without the wish for it nothing is kept open, but the core has what it opened`() {
        val alone = Kept().liveAlone()
        assertEquals(listOf(MailboxEffect.Close(2, 1000), MailboxEffect.NoTimer), alone.on(MailboxEvent.Wanted(false)))
        val withCore = Kept().liveWithCore()
        assertEquals(emptyList<MailboxEffect>(), withCore.on(MailboxEvent.Wanted(false)))
        assertEquals(listOf(MailboxEffect.TellClosed(1, 1006, null), MailboxEffect.NoTimer), withCore.on(MailboxEvent.Ended(1, 1006, null)))
        assertEquals(MailboxState.OFF, withCore.keeper.state)
    }

    @Test
    fun `what is held for the core has a bound`() {
        val kept = Kept().liveAlone()
        val large = """{"type":"deliver","x":"${"a".repeat(1_000_000)}"}"""
        val effects = List(9) { kept.on(MailboxEvent.Received(2, large)) }.flatten()
        assertTrue(MailboxEffect.Close(2, 4000) in effects)
        assertTrue(effects.last() is MailboxEffect.WakeMeAfter)
    }

    @Test
    fun `what is no frame is the core's to judge`() {
        val kept = Kept().liveWithCore()
        for (text in listOf("", "[]", "no json", """{"type":5}""")) {
            assertEquals(MailboxEffect.TellReceived(1, text), kept.on(MailboxEvent.Received(1, text)).first())
        }
    }

    @Test
    fun `a login says nothing when it is printed`() {
        assertFalse(MailboxEffect.Connect(1, LOGIN).toString().contains("Bearer"))
    }
}
