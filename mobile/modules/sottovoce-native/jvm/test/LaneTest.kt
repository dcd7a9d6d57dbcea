package org.sottovoce.phone.network

import java.net.InetAddress
import java.net.ServerSocket
import java.util.concurrent.CompletableFuture
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okhttp3.mockwebserver.MockResponse
import okhttp3.mockwebserver.MockWebServer
import okhttp3.mockwebserver.SocketPolicy
import okio.ByteString.Companion.encodeUtf8
import okio.ByteString.Companion.toByteString
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

private const val PATIENCE_S = 30L

class LaneTest {
    private val server = MockWebServer().apply { start() }
    private val lane = Lane()

    @After
    fun stop() {
        lane.close()
        server.shutdown()
    }

    private fun ask(lane: Lane = this.lane, method: String = "GET", headers: Map<String, String> = emptyMap(), json: String? = null): Answer? {
        val answer = CompletableFuture<Answer?>()
        lane.request(method, server.url("/v1/relay").toString(), headers, json, answer::complete)
        return answer.get(PATIENCE_S, TimeUnit.SECONDS)
    }

    @Test
    fun `an answer, with what was asked`() {
        server.enqueue(MockResponse().setResponseCode(503).setHeader("Retry-After", "7").setBody("""{"code":"unavailable"}"""))
        val answer = ask(method = "PUT", headers = mapOf("Authorization" to "Bearer x"), json = """{"a":1}""")
        assertEquals(503, answer?.status)
        assertEquals(7, answer?.retryAfterS)
        assertEquals("""{"code":"unavailable"}""", answer?.body)
        val request = server.takeRequest()
        assertEquals("Bearer x", request.getHeader("Authorization"))
        assertEquals("sottovoce", request.getHeader("User-Agent"))
        assertEquals("""{"a":1}""", request.body.readUtf8())
        assertNull(request.getHeader("Cookie"))
    }

    @Test
    fun `a redirect is not followed, and no cookie is kept`() {
        server.enqueue(MockResponse().setResponseCode(302).setHeader("Location", server.url("/elsewhere")).setHeader("Set-Cookie", "who=ada"))
        server.enqueue(MockResponse().setBody("second"))
        assertEquals(302, ask()?.status)
        assertEquals("second", ask()?.body)
        server.takeRequest()
        assertNull(server.takeRequest().getHeader("Cookie"))
    }

    @Test
    fun `no answer is null, and so is one that is too large, and a URL that is none`() {
        server.enqueue(MockResponse().setSocketPolicy(SocketPolicy.DISCONNECT_AFTER_REQUEST))
        assertNull(ask())
        server.enqueue(MockResponse().setBody("a".repeat(1_048_577)))
        assertNull(ask())
        val answer = CompletableFuture<Answer?>()
        lane.request("GET", "no url", emptyMap(), null, answer::complete)
        assertNull(answer.get(PATIENCE_S, TimeUnit.SECONDS))
    }

    @Test
    fun `two lanes never share a connection, one lane does`() {
        val other = Lane()
        repeat(3) { server.enqueue(MockResponse().setBody("x")) }
        ask(lane)
        ask(lane)
        ask(other)
        val sequences = List(3) { server.takeRequest().sequenceNumber } // 0: the first on its connection
        assertEquals(listOf(0, 1, 0), sequences)
        other.close()
    }

    @Test
    fun `each call of the anonymous lane is alone on its connection`() {
        val anonymous = anonymousLane()
        repeat(3) { server.enqueue(MockResponse().setBody("x")) }
        repeat(3) { assertEquals(200, ask(anonymous)?.status) }
        assertEquals(listOf(0, 0, 0), List(3) { server.takeRequest().sequenceNumber })
        anonymous.close()
    }

    // -- sockets --

    private class Told : SocketListener {
        val all = LinkedBlockingQueue<String>()

        override fun opened() {
            all += "opened"
        }

        override fun received(text: String) {
            all += "received $text"
        }

        override fun closed(code: Int, httpStatus: Int?) {
            all += "closed $code $httpStatus"
        }

        fun next(): String? = all.poll(PATIENCE_S, TimeUnit.SECONDS)
    }

    private fun upgrade(theirs: WebSocketListener) = server.enqueue(MockResponse().withWebSocketUpgrade(theirs))

    private fun url() = server.url("/v1/mailbox").toString().replaceFirst("http", "ws")

    @Test
    fun `text both ways, and their close code`() {
        upgrade(object : WebSocketListener() {
            override fun onMessage(webSocket: WebSocket, text: String) {
                webSocket.send("you said $text")
                webSocket.close(4409, null)
            }
        })
        val told = Told()
        val socket = lane.open(url(), mapOf("Authorization" to "Bearer x"), told)
        assertEquals("opened", told.next())
        socket.send("hello")
        assertEquals("received you said hello", told.next())
        assertEquals("closed 4409 null", told.next())
        val request = server.takeRequest()
        assertEquals("Bearer x", request.getHeader("Authorization"))
        assertNull(request.getHeader("Origin"))
    }

    @Test
    fun `a refused upgrade tells its status, once`() {
        server.enqueue(MockResponse().setResponseCode(401))
        val told = Told()
        lane.open(url(), emptyMap(), told)
        assertEquals("closed 1006 401", told.next())
        assertTrue(told.all.isEmpty())
    }

    @Test
    fun `nobody there, and no URL`() {
        val told = Told()
        val gone = MockWebServer().apply { start() }.let { other -> other.url("/").toString().replaceFirst("http", "ws").also { other.shutdown() } }
        lane.open(gone, emptyMap(), told)
        assertEquals("closed 1006 null", told.next())
        lane.open("nowhere", emptyMap(), told).send("dropped")
        assertEquals("closed 1006 null", told.next())
    }

    @Test
    fun `a frame that is too large, and one that is not text, end the session`() {
        for ((code, send) in listOf<Pair<Int, (WebSocket) -> Unit>>(1009 to { it.send("a".repeat(262_145)) }, 1003 to { it.send(ByteArray(3).toByteString()) })) {
            val theirs = CompletableFuture<Int>()
            upgrade(object : WebSocketListener() {
                override fun onOpen(webSocket: WebSocket, response: Response) = send(webSocket)

                override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
                    theirs.complete(code)
                    webSocket.close(1000, null)
                }
            })
            val told = Told()
            lane.open(url(), emptyMap(), told)
            assertEquals("opened", told.next())
            assertEquals(code, theirs.get(PATIENCE_S, TimeUnit.SECONDS))
            assertTrue(told.next().orEmpty().startsWith("closed"))
        }
    }

    @Test
    fun `a peer that never answers the closing handshake is let go of`() {
        ServerSocket(0, 1, InetAddress.getLoopbackAddress()).use { listening ->
            val theirs = CompletableFuture.runAsync {
                listening.accept().use { peer ->
                    val head = peer.getInputStream().bufferedReader()
                    val key = generateSequence(head::readLine).takeWhile { it.isNotEmpty() }.first { it.startsWith("Sec-WebSocket-Key: ") }.substringAfter(": ")
                    val accept = "${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encodeUtf8().sha1().base64() // RFC 6455 section 4.2.2
                    peer.getOutputStream().write("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $accept\r\n\r\n".toByteArray())
                    while (head.read() >= 0) Unit // hears everything and says nothing, until the other end is gone
                }
            }
            val told = Told()
            val socket = lane.open("ws://${listening.inetAddress.hostAddress}:${listening.localPort}/", emptyMap(), told)
            assertEquals("opened", told.next())
            socket.close(1000)
            assertEquals("closed 1006 null", told.next())
            theirs.get(PATIENCE_S, TimeUnit.SECONDS)
        }
    }
}
