/** The Kotlin engine behind standard input and output, one JSON object a line, so that the client's own tests can drive it. */
package org.sottovoce.phone

import org.json.JSONObject
import org.sottovoce.phone.engine.EngineCalls

/** `{"id", "call", "arguments"}` in; `{"id", "answer"}`, with what [EngineCalls.answer] gave, or `{"id", "fault"}` out. */
fun main() {
    val calls = EngineCalls()
    val out = System.out.bufferedWriter()
    for (line in generateSequence(::readLine)) {
        val request = JSONObject(line)
        val reply = JSONObject().put("id", request.getInt("id"))
        try {
            reply.put("answer", calls.answer(request.getString("call"), request.getString("arguments")))
        } catch (error: Exception) {
            reply.put("fault", "${error.javaClass.name}: ${error.message}")
        }
        out.write(reply.toString())
        out.newLine()
        out.flush()
    }
}
