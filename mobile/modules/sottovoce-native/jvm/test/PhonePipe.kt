/** The phone's engine and network behind standard input and output, one JSON object a line, so that the client core can be run over them. */
package org.sottovoce.phone

import java.io.Writer
import java.util.concurrent.Executors
import java.util.concurrent.ScheduledFuture
import java.util.concurrent.TimeUnit
import kotlin.system.exitProcess
import org.json.JSONObject
import org.sottovoce.phone.engine.EngineCalls
import org.sottovoce.phone.mailbox.MailboxEvent
import org.sottovoce.phone.mailbox.MailboxKeeper
import org.sottovoce.phone.mailbox.MailboxRunner
import org.sottovoce.phone.mailbox.MailboxState
import org.sottovoce.phone.mailbox.MailboxSurroundings
import org.sottovoce.phone.network.Lane
import org.sottovoce.phone.network.NetworkCalls
import org.sottovoce.phone.network.PostSockets
import org.sottovoce.phone.network.anonymousLane

/** Android's part is played by one scheduled thread; waking the core is told as an event, and so is every change of state. */
private class Pipe(private val out: Writer) : MailboxSurroundings {
    private val thread = Executors.newSingleThreadScheduledExecutor { Thread(it).apply { isDaemon = true } }
    private val engine = EngineCalls()
    private val lanes = Lane() to anonymousLane()
    private val posts = PostSockets(lanes.second, ::tell)
    private val mailbox = MailboxRunner(MailboxKeeper { 0.0 }, lanes.first, this, thread)
    private val network = NetworkCalls(lanes.first, lanes.second, posts, mailbox)
    private val timers = mutableMapOf<Int, ScheduledFuture<*>>()
    private var watch: ScheduledFuture<*>? = null

    @Synchronized
    fun write(line: JSONObject) {
        out.write(line.toString())
        out.write("\n")
        out.flush()
    }

    private fun tell(event: JSONObject) = write(JSONObject().put("event", event.toString()))

    fun answer(request: JSONObject) {
        val (call, arguments) = request.getString("call") to request.getString("arguments")
        val reply = { answer: String -> write(JSONObject().put("id", request.getInt("id")).put("answer", answer)) }
        try {
            if (request.getString("of") == "engine") reply(engine.answer(call, arguments))
            else phone(call, JSONObject(arguments)) { value -> reply(JSONObject().put("ok", value ?: JSONObject.NULL).toString()) }
        } catch (error: Exception) {
            write(JSONObject().put("id", request.getInt("id")).put("fault", "${error.javaClass.name}: ${error.message}"))
        }
    }

    private fun phone(call: String, given: JSONObject, reply: (Any?) -> Unit) {
        if (network.answer(call, given, reply)) return
        when (call) {
            "timerSet" -> given.getInt("id").let { id ->
                timers[id] = thread.schedule({ tell(JSONObject().put("kind", "timer").put("id", id)) }, given.getLong("ms"), TimeUnit.MILLISECONDS)
            }
            "timerCancel" -> timers.remove(given.getInt("id"))?.cancel(false)
            // What Android and the person would say.
            "wanted" -> mailbox.tell(MailboxEvent.Wanted(given.getBoolean("wanted")))
            "coreGone" -> mailbox.tell(MailboxEvent.CoreGone)
            else -> throw IllegalArgumentException("the phone has no such call")
        }
        reply(null)
    }

    override fun opened(coreId: Int) = tell(socketEvent(coreId, "opened"))

    override fun received(coreId: Int, text: String) = tell(socketEvent(coreId, "received").put("text", text))

    override fun closed(coreId: Int, code: Int, httpStatus: Int?) =
        tell(socketEvent(coreId, "closed").put("code", code).put("httpStatus", httpStatus ?: JSONObject.NULL))

    override fun wakeCore() = tell(JSONObject().put("kind", "wake"))

    override fun stayAwake() = Unit

    override fun timer(afterMs: Long?) {
        watch?.cancel(false)
        watch = afterMs?.let { thread.schedule({ mailbox.tell(MailboxEvent.TimeIsUp) }, it, TimeUnit.MILLISECONDS) }
    }

    override fun stateChanged(state: MailboxState) = tell(JSONObject().put("kind", "delivery").put("state", state.name.lowercase()))
}

/**
 * `{"id", "of": "engine" or "phone", "call", "arguments"}` in; `{"id", "answer"}`, `{"id", "fault"}` and `{"event"}` out. Ends with its input.
 */
fun main() {
    val pipe = Pipe(System.out.bufferedWriter())
    for (line in generateSequence(::readLine)) pipe.answer(JSONObject(line))
    exitProcess(0) // okhttp's threads would stay for a minute
}
