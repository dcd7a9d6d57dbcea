/** Everything of the phone's side, once a process: services, receivers and the module for JavaScript all find each other here. */
package org.sottovoce.phone

import android.app.Activity
import android.app.Application
import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import java.security.SecureRandom
import java.util.concurrent.Executor
import org.json.JSONObject
import org.sottovoce.phone.calls.CallEvent
import org.sottovoce.phone.calls.Calls
import org.sottovoce.phone.mailbox.Delivery
import org.sottovoce.phone.mailbox.DozeTimer
import org.sottovoce.phone.mailbox.MailboxEvent
import org.sottovoce.phone.mailbox.MailboxKeeper
import org.sottovoce.phone.mailbox.MailboxRunner
import org.sottovoce.phone.mailbox.MailboxState
import org.sottovoce.phone.mailbox.MailboxSurroundings
import org.sottovoce.phone.mailbox.Wakefulness
import org.sottovoce.phone.network.Lane
import org.sottovoce.phone.network.PostSockets
import org.sottovoce.phone.network.anonymousLane
import org.sottovoce.phone.notices.NoticeActions
import org.sottovoce.phone.notices.Notices
import org.sottovoce.phone.privacy.AppLock
import org.sottovoce.phone.privacy.IncognitoKeyboard
import org.sottovoce.phone.privacy.ScreenGuard
import org.sottovoce.phone.privacy.SensitiveClipboard
import org.sottovoce.phone.push.PushJob
import org.sottovoce.phone.push.UnifiedPush

/** Started by name, since its base class is React Native's and this file is compiled without it. */
private const val WAKE_SERVICE = "org.sottovoce.phone.WakeService"
private const val KEPT_EVENTS = 16

class Phone private constructor(private val context: Context) {
    private val handler = Handler(Looper.getMainLooper())
    private val main = Executor { handler.post(it) }
    private var sink: ((JSONObject) -> Unit)? = null

    /** What somebody did at a notification before JavaScript was there to hear of it. */
    private val kept = ArrayDeque<JSONObject>()

    val identified = Lane()
    val anonymous = anonymousLane()
    val posts = PostSockets(anonymous, ::tellCore)
    val notices = Notices(context)
    val delivery = Delivery(context)
    val push = UnifiedPush(context, ::tellCore)
    val calls = Calls(context, notices, main, ::tellCore, ::overLockScreen)
    val screen = ScreenGuard()
    val clipboard = SensitiveClipboard(context)
    val keyboard = IncognitoKeyboard()
    val lock = AppLock(context)
    val timers = Timers(::tellCore)
    private val wakefulness = Wakefulness(context)
    private val timer = DozeTimer(context) { mailbox.tell(MailboxEvent.TimeIsUp) }
    val mailbox: MailboxRunner = MailboxRunner(MailboxKeeper(SecureRandom()::nextDouble), identified, Surroundings(), main)

    var activity: Activity? = null
        private set
    private var calling = false

    private inner class Surroundings : MailboxSurroundings {
        override fun opened(coreId: Int) = tellCore(socketEvent(coreId, "opened"))

        override fun received(coreId: Int, text: String) = tellCore(socketEvent(coreId, "received").put("text", text))

        override fun closed(coreId: Int, code: Int, httpStatus: Int?) =
            tellCore(socketEvent(coreId, "closed").put("code", code).put("httpStatus", httpStatus ?: JSONObject.NULL))

        override fun wakeCore() = this@Phone.wakeCore()

        override fun stayAwake() = wakefulness.hold()

        override fun timer(afterMs: Long?) = timer.set(afterMs)

        override fun stateChanged(state: MailboxState) = tellCore(JSONObject().put("kind", "delivery").put("state", state.name.lowercase()))
    }

    // -- JavaScript comes and goes --

    fun coreCame(events: (JSONObject) -> Unit) = synchronized(this) {
        sink = events
    }

    /** JavaScript listens now: what was kept for it, in order. */
    fun coreListens() = synchronized(this) {
        val events = sink ?: return
        while (true) events(kept.removeFirstOrNull() ?: return)
    }

    fun coreGone() {
        synchronized(this) { sink = null }
        timers.clear()
        posts.closeAll()
        mailbox.tell(MailboxEvent.CoreGone)
    }

    internal fun tellCore(event: JSONObject) = synchronized(this) {
        val events = sink
        if (events != null) events(event)
        else if (event.optString("kind") in KEEP) {
            kept.addLast(event)
            if (kept.size > KEPT_EVENTS) kept.removeFirst()
        }
    }

    /** Has JavaScript run without a screen. Harmless when it runs already: its task finds the messenger open. */
    fun wakeCore() {
        try {
            context.startService(Intent().setClassName(context, WAKE_SERVICE))
        } catch (error: IllegalStateException) {
            // In the background and not allowed to: the next push, alarm or opening of the app tries again. Nothing is lost at the relay.
        }
    }

    /** What was due is on disk and acknowledged. */
    fun settled() = wakefulness.release()

    internal fun timeIsUp() = timer.ring()

    internal fun pushed() {
        wakefulness.hold()
        if (!delivery.drain()) PushJob.schedule(context)
    }

    // -- what a person did at a notification --

    fun touched(kind: String, id: String) {
        when (kind) {
            NoticeActions.ANSWER -> calls.tell(CallEvent.PersonAnswers(id))
            NoticeActions.DECLINE -> calls.tell(CallEvent.PersonDeclines(id))
            NoticeActions.HANG_UP -> calls.tell(CallEvent.PersonHangsUp(id))
        }
        if (kind == NoticeActions.MESSAGE || kind == NoticeActions.CALL || kind == NoticeActions.ANSWER) {
            tellCore(JSONObject().put("kind", "opened").put("what", kind).put("id", id))
        }
    }

    // -- our activities --

    private val lives = object : Application.ActivityLifecycleCallbacks {
        override fun onActivityCreated(activity: Activity, state: Bundle?) = met(activity)

        override fun onActivityResumed(activity: Activity) {
            met(activity)
            clipboard.inFront()
        }

        override fun onActivityDestroyed(activity: Activity) {
            if (this@Phone.activity === activity) this@Phone.activity = null
        }

        override fun onActivityStarted(activity: Activity) = Unit

        override fun onActivityPaused(activity: Activity) = Unit

        override fun onActivityStopped(activity: Activity) = Unit

        override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit
    }

    private fun overLockScreen(on: Boolean) {
        calling = on
        activity?.let(::applyOverLockScreen)
    }

    private fun applyOverLockScreen(activity: Activity) {
        activity.setShowWhenLocked(calling)
        activity.setTurnScreenOn(calling)
    }

    fun met(activity: Activity) {
        if (this.activity !== activity) {
            this.activity = activity
            screen.apply(activity)
            applyOverLockScreen(activity)
            keyboard.watch(activity)
        }
        activity.intent?.let(::newIntent)
    }

    fun newIntent(intent: Intent) {
        NoticeActions.take(intent)?.let { (kind, id) -> touched(kind, id) }
    }

    companion object {
        private val KEEP = setOf("opened", "call")

        @Volatile
        private var one: Phone? = null

        fun of(context: Context): Phone = one ?: synchronized(this) {
            one ?: Phone(context.applicationContext).also {
                one = it
                (context.applicationContext as Application).registerActivityLifecycleCallbacks(it.lives)
            }
        }

        /** Tests have a process for many phones. */
        internal fun forget() {
            one = null
        }
    }
}

internal fun socketEvent(id: Int, what: String): JSONObject = JSONObject().put("kind", "socket").put("id", id).put("what", what)

/** Timers that go on while the app is in the background, where React Native lets its own rest. */
class Timers(private val tellCore: (JSONObject) -> Unit) {
    private val handler = Handler(Looper.getMainLooper())
    private val pending = mutableMapOf<Int, Runnable>()

    @Synchronized
    fun set(id: Int, afterMs: Long) {
        val ring = Runnable {
            synchronized(this) { pending.remove(id) }
            tellCore(JSONObject().put("kind", "timer").put("id", id))
        }
        pending[id] = ring
        handler.postDelayed(ring, afterMs)
    }

    @Synchronized
    fun cancel(id: Int) {
        pending.remove(id)?.let(handler::removeCallbacks)
    }

    @Synchronized
    fun clear() {
        pending.values.forEach(handler::removeCallbacks)
        pending.clear()
    }
}
