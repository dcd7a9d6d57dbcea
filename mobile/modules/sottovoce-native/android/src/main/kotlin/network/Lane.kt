/** HTTP and WebSockets of one lane (docs/protocol.md). Each lane has a client of its own, so the two never share a connection or a pool. */
package org.sottovoce.phone.network

import java.io.IOException
import java.util.concurrent.Executors
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import okhttp3.Call
import okhttp3.Callback
import okhttp3.ConnectionPool
import okhttp3.Dispatcher
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Protocol
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okio.ByteString

private const val ANSWER_WITHIN_S = 15L
private const val LARGEST_ANSWER = 1_048_576L

/** An outbound message of the relay, at most (docs/protocol.md); counted in characters, of which frames have one a byte. */
private const val LARGEST_FRAME = 262_144

/** A peer that is gone never answers the closing handshake. */
private const val CLOSE_WITHIN_S = 2L

private val JSON = "application/json".toMediaType()

class Answer(val status: Int, val body: String, val retryAfterS: Int?)

/** [opened] at most once, then [received] any number of times, then [closed] exactly once, also after a failure to open. Called on threads of the network. */
interface SocketListener {
    fun opened()

    fun received(text: String)

    /** [code] 1006 when the connection broke or never stood; [httpStatus] when the upgrade was refused. */
    fun closed(code: Int, httpStatus: Int?)
}

interface Socket {
    /** Dropped silently when the socket is not open. */
    fun send(text: String)

    fun close(code: Int)
}

/** What a machine of sessions needs of a lane; tests put a scripted one in its place. */
fun interface Sockets {
    fun open(url: String, headers: Map<String, String>, listener: SocketListener): Socket
}

/** Each call on a connection of its own: one that is used again would tell that somebody asked about two people. */
fun anonymousLane(): Lane = Lane {
    connectionPool(ConnectionPool(0, 1, TimeUnit.SECONDS))
    protocols(listOf(Protocol.HTTP_1_1)) // HTTP/2 carries calls that overlap on one connection
}

class Lane(configure: OkHttpClient.Builder.() -> Unit = {}) : Sockets {
    private val client = OkHttpClient.Builder()
        .connectionPool(ConnectionPool(2, 1, TimeUnit.MINUTES))
        .dispatcher(Dispatcher().apply { maxRequestsPerHost = 4 })
        .callTimeout(ANSWER_WITHIN_S, TimeUnit.SECONDS) // ends where a WebSocket begins
        .followRedirects(false)
        .followSslRedirects(false)
        .proxySelector(OnionsByTor())
        .retryOnConnectionFailure(false) // whether the relay acted is the caller's to think about
        .apply(configure)
        .build()
    private val reaper: ScheduledExecutorService by lazy {
        Executors.newSingleThreadScheduledExecutor { Thread(it, "sottovoce-sockets").apply { isDaemon = true } }
    }

    /** [done] gets an answer, or null when none came. */
    fun request(method: String, url: String, headers: Map<String, String>, json: String?, done: (Answer?) -> Unit) {
        val body = json?.toRequestBody(JSON) ?: if (method == "POST" || method == "PUT") "".toRequestBody(null) else null
        val request = try {
            request(url, headers).method(method, body).build()
        } catch (error: IllegalArgumentException) {
            return done(null) // no URL
        }
        client.newCall(request).enqueue(object : Callback {
            override fun onFailure(call: Call, e: IOException) = done(null)

            override fun onResponse(call: Call, response: Response) {
                val answer = try {
                    response.use(::read)
                } catch (error: IOException) {
                    null
                }
                done(answer)
            }
        })
    }

    private fun request(url: String, headers: Map<String, String>): Request.Builder {
        val builder = Request.Builder().url(url).header("User-Agent", "sottovoce")
        for ((name, value) in headers) builder.header(name, value)
        return builder
    }

    private fun read(response: Response): Answer? {
        val source = response.body?.source() ?: return null
        if (source.request(LARGEST_ANSWER + 1)) return null // larger than anything a relay says
        return Answer(response.code, source.readUtf8(), response.header("Retry-After")?.toIntOrNull())
    }

    override fun open(url: String, headers: Map<String, String>, listener: SocketListener): Socket {
        val request = try {
            request(url, headers).build()
        } catch (error: IllegalArgumentException) {
            reaper.execute { listener.closed(1006, null) } // no URL; never from within `open`
            return object : Socket {
                override fun send(text: String) = Unit

                override fun close(code: Int) = Unit
            }
        }
        val ends = Ends(listener)
        val socket = client.newWebSocket(request, ends)
        return object : Socket {
            override fun send(text: String) {
                socket.send(text)
            }

            override fun close(code: Int) {
                if (!socket.close(code, null)) return
                reaper.schedule({ socket.cancel() }, CLOSE_WITHIN_S, TimeUnit.SECONDS)
            }
        }
    }

    /** okhttp tells of an end in three ways; the listener hears of one. */
    private class Ends(private val listener: SocketListener) : WebSocketListener() {
        private val over = AtomicBoolean()

        override fun onOpen(webSocket: WebSocket, response: Response) = listener.opened()

        override fun onMessage(webSocket: WebSocket, text: String) {
            if (text.length > LARGEST_FRAME) webSocket.close(1009, null)
            else if (!over.get()) listener.received(text)
        }

        override fun onMessage(webSocket: WebSocket, bytes: ByteString) {
            webSocket.close(1003, null) // the protocol is text
        }

        override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
            webSocket.close(1000, null) // the answer; the code that counts is theirs
            ended(code, null)
        }

        override fun onClosed(webSocket: WebSocket, code: Int, reason: String) = ended(code, null)

        override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) =
            ended(1006, response?.code?.takeIf { it != 101 })

        private fun ended(code: Int, httpStatus: Int?) {
            if (over.compareAndSet(false, true)) listener.closed(code, httpStatus)
        }
    }

    fun close() {
        client.dispatcher.executorService.shutdown()
        client.connectionPool.evictAll()
    }
}
