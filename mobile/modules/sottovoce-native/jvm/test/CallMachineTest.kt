package org.sottovoce.phone.calls

import kotlin.random.Random
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

private val WORDS = CallWords("Ada", "Call", "Answer", "Decline", "Hang up")

class CallMachineTest {
    private val machine = CallMachine()

    private fun on(event: CallEvent) = machine.on(event)

    private fun ringing() {
        on(CallEvent.CoreRings("a", WORDS))
        on(CallEvent.TelecomReady("a"))
    }

    @Test
    fun `a call rings only when Telecom lets it`() {
        assertEquals(listOf(CallEffect.AskTelecom("a", incoming = true)), on(CallEvent.CoreRings("a", WORDS)))
        assertEquals(listOf(CallEffect.ShowRinging("a", WORDS)), on(CallEvent.TelecomReady("a")))
        assertEquals(emptyList<CallEffect>(), on(CallEvent.TelecomReady("a")))
    }

    @Test
    fun `answered at the notification, in the car, or on our screen`() {
        ringing()
        assertEquals(
            listOf(CallEffect.TellCore("a", Told.ANSWER), CallEffect.StartService, CallEffect.ShowOngoing("a", WORDS), CallEffect.SetActive("a")),
            on(CallEvent.PersonAnswers("a")),
        )
        assertEquals(emptyList<CallEffect>(), on(CallEvent.PersonAnswers("a"))) // twice is once
        assertEquals(emptyList<CallEffect>(), on(CallEvent.CoreAnswered("a"))) // the core's echo
        assertEquals(emptyList<CallEffect>(), on(CallEvent.CoreConnected("a")))
        assertEquals(CallState.ACTIVE, machine.state)
    }

    @Test
    fun `our own screen's answer is not told to itself`() {
        ringing()
        assertTrue(on(CallEvent.CoreAnswered("a")).none { it is CallEffect.TellCore })
    }

    @Test
    fun `without Telecom it rings all the same`() {
        on(CallEvent.CoreRings("a", WORDS))
        assertEquals(listOf(CallEffect.ShowRinging("a", WORDS)), on(CallEvent.TelecomAbsent("a")))
        assertTrue(on(CallEvent.PersonAnswers("a")).none { it is CallEffect.SetActive })
    }

    @Test
    fun `Telecom's refusal is busy, and nothing is shown`() {
        on(CallEvent.CoreRings("a", WORDS))
        assertEquals(listOf(CallEffect.TellCore("a", Told.BUSY)), on(CallEvent.TelecomRefused("a")))
        assertNull(machine.state)
    }

    @Test
    fun `declined, and given up by the other side`() {
        ringing()
        assertEquals(
            listOf(CallEffect.TellCore("a", Told.DECLINE), CallEffect.HideNotice, CallEffect.SetDisconnected("a", Why.DECLINED)),
            on(CallEvent.PersonDeclines("a")),
        )
        ringing()
        assertEquals(listOf(CallEffect.HideNotice, CallEffect.SetDisconnected("a", Why.ENDED_THERE)), on(CallEvent.CoreEnded("a")))
    }

    @Test
    fun `a call that ended before Telecom spoke never rings`() {
        on(CallEvent.CoreRings("a", WORDS))
        on(CallEvent.CoreEnded("a"))
        assertEquals(emptyList<CallEffect>(), on(CallEvent.TelecomReady("a")))
    }

    @Test
    fun `Telecom may be slower than the person`() {
        on(CallEvent.CoreRings("a", WORDS))
        assertEquals(listOf(CallEffect.StartService, CallEffect.ShowOngoing("a", WORDS)), on(CallEvent.CoreAnswered("a")))
        assertEquals(listOf(CallEffect.SetActive("a")), on(CallEvent.TelecomReady("a")))
    }

    @Test
    fun `an outgoing call is active when speech flows`() {
        on(CallEvent.CoreCalls("b", WORDS))
        assertEquals(listOf(CallEffect.StartService, CallEffect.ShowOngoing("b", WORDS)), on(CallEvent.TelecomReady("b")))
        assertEquals(listOf(CallEffect.SetActive("b")), on(CallEvent.CoreConnected("b")))
        assertEquals(listOf(CallEffect.TellCore("b", Told.HELD)), on(CallEvent.Held("b", held = true)))
        assertEquals(listOf(CallEffect.TellCore("b", Told.RESUMED)), on(CallEvent.Held("b", held = false)))
        assertEquals(
            listOf(CallEffect.TellCore("b", Told.HANG_UP), CallEffect.HideNotice, CallEffect.StopService, CallEffect.SetDisconnected("b", Why.ENDED_HERE)),
            on(CallEvent.PersonHangsUp("b")),
        )
    }

    @Test
    fun `a second call is busy and the first goes on`() {
        ringing()
        assertEquals(listOf(CallEffect.TellCore("c", Told.BUSY)), on(CallEvent.CoreRings("c", WORDS)))
        assertEquals(emptyList<CallEffect>(), on(CallEvent.CoreEnded("c")))
        assertEquals(CallState.RINGING, machine.state)
    }

    /** Whatever comes in whatever order: the service runs exactly while a call is up, and every notice that is shown is hidden. */
    @Test
    fun `ten thousand random events leave nothing behind`() {
        val random = Random(4711)
        var service = false
        var shown = false
        repeat(10_000) {
            val call = listOf("a", "b", "c")[random.nextInt(3)]
            val event = when (random.nextInt(12)) {
                0, 1 -> CallEvent.CoreRings(call, WORDS)
                2 -> CallEvent.CoreCalls(call, WORDS)
                3 -> CallEvent.CoreAnswered(call)
                4 -> CallEvent.CoreConnected(call)
                5 -> CallEvent.CoreEnded(call)
                6, 7 -> CallEvent.TelecomReady(call)
                8 -> CallEvent.TelecomAbsent(call)
                9 -> CallEvent.PersonAnswers(call)
                10 -> CallEvent.PersonDeclines(call)
                else -> CallEvent.TelecomRefused(call)
            }
            for (effect in machine.on(event)) {
                when (effect) {
                    is CallEffect.StartService -> service = true
                    is CallEffect.StopService -> service = false
                    is CallEffect.ShowRinging, is CallEffect.ShowOngoing -> shown = true
                    is CallEffect.HideNotice -> shown = false
                    else -> Unit
                }
            }
            val state = machine.state
            assertEquals("after $event in $state", state == CallState.ANSWERED || state == CallState.CALLING || state == CallState.ACTIVE, service)
            assertEquals("after $event in $state", state != null && state != CallState.ASKED, shown)
        }
    }
}
