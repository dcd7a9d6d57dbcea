package org.sottovoce.phone.network

import java.io.DataInputStream
import java.net.InetAddress
import java.net.Proxy
import java.net.ServerSocket
import java.net.URI
import java.util.concurrent.CompletableFuture
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread
import okhttp3.mockwebserver.MockResponse
import okhttp3.mockwebserver.MockWebServer
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test

private const val ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
private const val PATIENCE_S = 30L

class OnionsByTorTest {
    /** As Tor's port does it (RFC 1928): takes a name, and then answers in place of the service. */
    private val door = ServerSocket(0, 8, InetAddress.getByAddress(byteArrayOf(127, 0, 0, 1)))
    private val asked = LinkedBlockingQueue<String>()
    private val server = MockWebServer().apply { start() }
    private val lane = Lane { proxySelector(OnionsByTor(door.localPort)) }

    init {
        thread(isDaemon = true) {
            while (true) {
                val socket = try {
                    door.accept()
                } catch (closed: java.io.IOException) {
                    return@thread
                }
                socket.use {
                    val input = DataInputStream(it.getInputStream())
                    val output = it.getOutputStream()
                    input.readByte() // version
                    input.skipBytes(input.readUnsignedByte()) // what it can log in by
                    output.write(byteArrayOf(5, 0)) // nobody needs to
                    val head = ByteArray(4).also(input::readFully)
                    if (head[3].toInt() != 3) {
                        asked += "an address" // so somebody was asked for it
                        return@use
                    }
                    val name = ByteArray(input.readUnsignedByte()).also(input::readFully)
                    val port = input.readUnsignedShort()
                    output.write(byteArrayOf(5, 0, 0, 1, 0, 0, 0, 0, 0, 0))
                    val line = input.bufferedReader().readLine()
                    asked += "${String(name)}:$port $line"
                    output.write("HTTP/1.1 204 No Content\r\n\r\n".toByteArray())
                    output.flush()
                }
            }
        }
    }

    @After
    fun stop() {
        lane.close()
        server.shutdown()
        door.close()
    }

    private fun ask(lane: Lane, url: String): Answer? {
        val answer = CompletableFuture<Answer?>()
        lane.request("GET", url, emptyMap(), null, answer::complete)
        return answer.get(PATIENCE_S, TimeUnit.SECONDS)
    }

    @Test
    fun `an onion service is asked for by its name, at Tor`() {
        assertEquals(204, ask(lane, "http://$ONION/v1/relay")?.status)
        assertEquals("$ONION:80 GET /v1/relay HTTP/1.1", asked.poll(PATIENCE_S, TimeUnit.SECONDS))
    }

    @Test
    fun `so is its WebSocket`() {
        val over = CompletableFuture<Int?>()
        lane.open("ws://$ONION:8080/v1/post", emptyMap(), object : SocketListener {
            override fun opened() = Unit

            override fun received(text: String) = Unit

            override fun closed(code: Int, httpStatus: Int?) {
                over.complete(httpStatus)
            }
        })
        assertEquals(204, over.get(PATIENCE_S, TimeUnit.SECONDS))
        assertEquals("$ONION:8080 GET /v1/post HTTP/1.1", asked.poll(PATIENCE_S, TimeUnit.SECONDS))
    }

    @Test
    fun `without Tor there is no answer, and no other way`() {
        door.close()
        assertNull(ask(lane, "http://$ONION/v1/relay"))
    }

    @Test
    fun `other names go as they went`() {
        server.enqueue(MockResponse().setBody("x"))
        assertEquals(200, ask(lane, server.url("/v1/relay").toString())?.status)
        assertNull(asked.poll())
    }

    @Test
    fun `which names are meant`() {
        val selector = OnionsByTor()
        for (host in listOf(ONION, "a.$ONION", "$ONION.", ONION.uppercase(), "short.onion")) {
            assertEquals(host, Proxy.Type.SOCKS, selector.select(URI("http://$host/")).single().type())
        }
        for (host in listOf("$ONION.evil.example", "onion.example", "127.0.0.1")) {
            assertEquals(host, Proxy.NO_PROXY, selector.select(URI("https://$host/")).single())
        }
    }
}
