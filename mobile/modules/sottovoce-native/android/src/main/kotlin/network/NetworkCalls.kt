/** The calls of JavaScript that are about the network. Without Android, so that the client core can be run over them on a JVM. */
package org.sottovoce.phone.network

import org.json.JSONObject
import org.sottovoce.phone.mailbox.Login
import org.sottovoce.phone.mailbox.MailboxEvent
import org.sottovoce.phone.mailbox.MailboxRunner

/** Gets a value that JSON can hold, or null; once. */
typealias Reply = (Any?) -> Unit

class NetworkCalls(private val identified: Lane, private val anonymous: Lane, private val posts: PostSockets, private val mailbox: MailboxRunner) {
    /** False for a call that is none of these. Throws on arguments of another shape. */
    fun answer(name: String, given: JSONObject, reply: Reply): Boolean {
        when (name) {
            "http" -> {
                http(given, reply)
                return true
            }
            "socketOpen" -> open(given)
            "socketSend" -> send(given)
            "socketClose" -> close(given)
            else -> return false
        }
        reply(null)
        return true
    }

    private val JSONObject.isIdentified get() = getString("lane") == "identified"

    private fun http(given: JSONObject, reply: Reply) {
        val headers = mutableMapOf<String, String>()
        val header = if (given.isIdentified) "Authorization" to "authorization" else "Access-Key" to "accessKey"
        // A recovery has no token yet, and a call for what is public no access key.
        if (!given.isNull(header.second)) headers[header.first] = given.getString(header.second)
        val lane = if (given.isIdentified) identified else anonymous
        val body = if (given.isNull("json")) null else given.getString("json")
        lane.request(given.getString("method"), given.getString("url"), headers, body) { answer -> reply(answer?.json()) }
    }

    private fun open(given: JSONObject) {
        val id = given.getInt("id")
        if (given.isIdentified) mailbox.tell(MailboxEvent.CoreOpens(id, Login(given.getString("url"), given.getString("authorization"))))
        else posts.open(id, given.getString("url"))
    }

    private fun send(given: JSONObject) {
        val (id, text) = given.getInt("id") to given.getString("text")
        if (given.isIdentified) mailbox.tell(MailboxEvent.CoreSends(id, text)) else posts.send(id, text)
    }

    private fun close(given: JSONObject) {
        val (id, code) = given.getInt("id") to given.getInt("code")
        if (given.isIdentified) mailbox.tell(MailboxEvent.CoreCloses(id, code)) else posts.close(id, code)
    }
}

private fun Answer.json(): JSONObject = JSONObject().put("status", status).put("body", body).put("retryAfterS", retryAfterS ?: JSONObject.NULL)
