package org.sottovoce.phone.network

import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import okhttp3.mockwebserver.MockResponse
import okhttp3.mockwebserver.MockWebServer
import org.json.JSONException
import org.json.JSONObject
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Test
import org.sottovoce.phone.mailbox.MailboxKeeper
import org.sottovoce.phone.mailbox.MailboxRunner
import org.sottovoce.phone.mailbox.MailboxState
import org.sottovoce.phone.mailbox.MailboxSurroundings

class NetworkCallsTest {
    private val server = MockWebServer().apply { start() }
    private val lanes = Lane() to Lane()
    private val nowhere = object : MailboxSurroundings {
        override fun opened(coreId: Int) = Unit

        override fun received(coreId: Int, text: String) = Unit

        override fun closed(coreId: Int, code: Int, httpStatus: Int?) = Unit

        override fun wakeCore() = Unit

        override fun stayAwake() = Unit

        override fun timer(afterMs: Long?) = Unit

        override fun stateChanged(state: MailboxState) = Unit
    }
    private val calls = NetworkCalls(lanes.first, lanes.second, PostSockets(lanes.second) {}, MailboxRunner(MailboxKeeper { 0.0 }, lanes.first, nowhere, Runnable::run))

    @After
    fun stop() {
        lanes.first.close()
        lanes.second.close()
        server.shutdown()
    }

    private fun http(vararg given: Pair<String, Any>): JSONObject {
        server.enqueue(MockResponse().setBody("{}"))
        val answer = CompletableFuture<Any?>()
        val arguments = JSONObject().put("method", "POST").put("url", server.url("/x").toString()).put("json", "{}")
        for ((name, value) in given) arguments.put(name, value)
        calls.answer("http", arguments, answer::complete)
        return answer.get(30, TimeUnit.SECONDS) as JSONObject
    }

    @Test
    fun `a token on its lane, and none while there is none`() {
        assertEquals(200, http("lane" to "identified", "authorization" to "Bearer x").getInt("status"))
        assertEquals("Bearer x", server.takeRequest().getHeader("Authorization"))
        http("lane" to "identified", "authorization" to JSONObject.NULL)
        assertNull(server.takeRequest().getHeader("Authorization"))
    }

    @Test
    fun `a token that is given to the anonymous lane goes nowhere`() {
        http("lane" to "anonymous", "authorization" to "Bearer x", "accessKey" to "k")
        val request = server.takeRequest()
        assertNull(request.getHeader("Authorization"))
        assertEquals("k", request.getHeader("Access-Key"))
    }

    @Test
    fun `what is no call of the network, and what has another shape`() {
        assertFalse(calls.answer("delivery", JSONObject()) {})
        assertThrows(JSONException::class.java) { calls.answer("socketOpen", JSONObject().put("lane", "anonymous")) {} }
    }
}
