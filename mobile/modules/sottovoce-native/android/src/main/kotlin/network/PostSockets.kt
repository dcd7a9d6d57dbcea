package org.sottovoce.phone.network

import java.util.concurrent.ConcurrentHashMap
import org.json.JSONObject
import org.sottovoce.phone.socketEvent

/** The core's sockets of the anonymous lane, by the ids that it gave them. There is no way to give one a token. */
class PostSockets(private val sockets: Sockets, private val tellCore: (JSONObject) -> Unit) {
    private val open = ConcurrentHashMap<Int, Socket>()

    fun open(id: Int, url: String) {
        open[id] = sockets.open(url, emptyMap(), object : SocketListener {
            override fun opened() = tellCore(socketEvent(id, "opened"))

            override fun received(text: String) = tellCore(socketEvent(id, "received").put("text", text))

            override fun closed(code: Int, httpStatus: Int?) {
                open.remove(id)
                tellCore(socketEvent(id, "closed").put("code", code).put("httpStatus", httpStatus ?: JSONObject.NULL))
            }
        })
    }

    fun send(id: Int, text: String) {
        open[id]?.send(text)
    }

    fun close(id: Int, code: Int) {
        open[id]?.close(code)
    }

    fun closeAll() = open.values.forEach { it.close(1000) }
}
