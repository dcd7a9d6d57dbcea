package org.sottovoce.phone

import android.Manifest
import android.app.Activity
import android.app.Notification
import android.app.NotificationManager
import android.app.PendingIntent
import android.app.Service
import android.app.job.JobScheduler
import android.content.Intent
import android.content.pm.ActivityInfo
import android.content.pm.ApplicationInfo
import android.content.pm.ResolveInfo
import android.content.pm.ServiceInfo
import android.os.Looper
import android.os.PowerManager
import android.telecom.Connection
import android.telecom.PhoneAccount
import android.telecom.TelecomManager
import java.time.Duration
import java.util.Base64
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadows.ShadowPowerManager
import org.sottovoce.phone.calls.CallConnection
import org.sottovoce.phone.calls.CallEvent
import org.sottovoce.phone.calls.CallService
import org.sottovoce.phone.mailbox.BootReceiver
import org.sottovoce.phone.mailbox.DeliveryMode
import org.sottovoce.phone.mailbox.MailboxService
import org.sottovoce.phone.notices.CALL_NOTICE
import org.sottovoce.phone.notices.NoticeReceiver
import org.sottovoce.phone.notices.SERVICE_NOTICE
import org.sottovoce.phone.push.PushReceiver

private const val WORDS = """{"title":"Ada","body":"Call","answer":"Answer","decline":"Decline","hangUp":"Hang up"}"""

class DeliveryTest : OnPhone() {
    private fun startedService(): String? = shadowOf(app).nextStartedService?.component?.className

    @Test
    fun `a phone that starts keeps the mailbox only if somebody chose that`() {
        val boot = Intent(Intent.ACTION_BOOT_COMPLETED)
        BootReceiver().onReceive(app, boot)
        assertNull(startedService())
        call("setDelivery", """{"mode":"service"}""")
        assertEquals(MailboxService::class.java.name, startedService())
        idle()
        while (startedService() != null) Unit // the core is woken for its login
        BootReceiver().onReceive(app, boot)
        assertEquals(MailboxService::class.java.name, startedService())
        BootReceiver().onReceive(app, Intent("somebody.else"))
        assertNull(startedService())
    }

    @Test
    fun `the service is of the type for messages, has a notice, wakes the core for a login and comes back`() {
        phone.delivery.mode = DeliveryMode.SERVICE
        shadowOf(app).clearStartedServices()
        Phone.forget() // as if the process were new
        val service = Robolectric.buildService(MailboxService::class.java).create()
        assertEquals(Service.START_STICKY, service.get().onStartCommand(Intent(), 0, 1))
        idle()
        val shadow = shadowOf(service.get())
        assertEquals(SERVICE_NOTICE, shadow.lastForegroundNotificationId)
        assertEquals(Notification.VISIBILITY_SECRET, shadow.lastForegroundNotification.visibility)
        assertEquals(ServiceInfo.FOREGROUND_SERVICE_TYPE_REMOTE_MESSAGING, service.get().foregroundServiceType)
        assertEquals("org.sottovoce.phone.WakeService", startedService())
        service.destroy()
    }

    @Test
    fun `an alarm that comes when nothing is to be kept leaves no service behind`() {
        val service = Robolectric.buildService(MailboxService::class.java).create()
        service.get().onStartCommand(Intent("org.sottovoce.phone.TICK"), 0, 1)
        assertTrue(shadowOf(service.get()).isStoppedBySelf)
        service.destroy()
    }

    @Test
    fun `a mode that does not exist is refused, and the old one stays`() {
        assertThrows(IllegalArgumentException::class.java) { call("setDelivery", """{"mode":"fcm"}""") }
        assertEquals("open_only", call("delivery"))
    }

    @Test
    fun `timers ring once, and not when they were taken back`() {
        call("timerSet", """{"id":1,"ms":0}""")
        call("timerSet", """{"id":2,"ms":600000}""")
        call("timerCancel", """{"id":2}""")
        shadowOf(Looper.getMainLooper()).idleFor(Duration.ofMinutes(20))
        assertEquals(listOf(1), toldOf("timer").map { it.getInt("id") })
    }
}

class NoticesTest : OnPhone() {
    private val manager get() = app.system<NotificationManager>()

    private fun shown(tag: String?, id: Int): Notification? = shadowOf(manager).getNotification(tag, id)

    @Test
    fun `one notice a conversation, private on the lock screen, replaced and cleared`() {
        call("setWords", """{"messages":"Nachrichten"}""")
        call("showMessage", """{"peer":"p","title":"Ada","body":"hello","unread":1}""")
        call("showMessage", """{"peer":"p","title":"Ada","body":"hello again","unread":2}""")
        val notice = checkNotNull(shown("p", 3))
        assertEquals("hello again", notice.extras.getString(Notification.EXTRA_TEXT))
        assertEquals(Notification.VISIBILITY_PRIVATE, notice.visibility)
        assertEquals("Nachrichten", manager.getNotificationChannel(notice.channelId).name)
        assertEquals(1, shadowOf(manager).size())
        call("clearMessage", """{"peer":"p"}""")
        assertEquals(0, shadowOf(manager).size())
    }

    @Test
    fun `what was touched before JavaScript listened is told when it does`() {
        phone.coreGone()
        val activity = Robolectric.buildActivity(Activity::class.java, Intent().putExtra("org.sottovoce.phone.KIND", "message").putExtra("org.sottovoce.phone.ID", "p")).setup()
        phone.coreCame { told += it }
        assertEquals(emptyList<JSONObject>(), told)
        call("listen")
        assertEquals(listOf("p"), toldOf("opened").map { it.getString("id") })
        activity.pause().resume() // the same intent is still there, and is not touched a second time
        assertEquals(1, toldOf("opened").size)
        activity.close()
    }
}

class CallsTest : OnPhone() {
    private val manager get() = app.system<NotificationManager>()

    /** Robolectric's Telecom takes the account and the call; what follows is said by hand, as the system would. */
    private fun ring() {
        shadowOf(app).grantPermissions(Manifest.permission.MANAGE_OWN_CALLS)
        call("call", """{"call":"c","what":"rings","words":$WORDS}""")
        phone.calls.tell(CallEvent.TelecomReady("c"))
        idle()
    }

    @Test
    fun `Telecom is asked under an account of our own, without a name, number or log`() {
        ring()
        val telecom = app.system<TelecomManager>()
        val asked = shadowOf(telecom).allIncomingCalls.single()
        val account = telecom.getPhoneAccount(asked.phoneAccount)
        assertTrue(account.hasCapabilities(PhoneAccount.CAPABILITY_SELF_MANAGED))
        assertFalse(account.extras.getBoolean(PhoneAccount.EXTRA_LOG_SELF_MANAGED_CALLS, true))
        assertFalse(asked.extras.toString().contains("Ada"))
    }

    @Test
    fun `a connection that Telecom makes for a call that is over is ended at once`() {
        call("call", """{"call":"c","what":"rings","words":$WORDS}""")
        call("call", """{"call":"c","what":"ended"}""")
        val late = CallConnection("c", phone.calls).apply { setRinging() }
        phone.calls.made(late, incoming = true)
        assertEquals(Connection.STATE_DISCONNECTED, late.state)
        val next = CallConnection("d", phone.calls).apply { setRinging() }
        phone.calls.made(next, incoming = true)
        assertEquals(Connection.STATE_RINGING, next.state)
    }

    @Test
    fun `ringing is a full-screen CallStyle notice that rings until it is answered`() {
        ring()
        val notice = checkNotNull(shadowOf(manager).getNotification(CALL_NOTICE))
        assertNotNull(notice.fullScreenIntent)
        assertTrue(notice.flags and Notification.FLAG_INSISTENT != 0)
        assertEquals("android.app.Notification\$CallStyle", notice.extras.getString(Notification.EXTRA_TEMPLATE))
        assertNotNull(manager.getNotificationChannel(notice.channelId).sound)

        call("call", """{"call":"c","what":"answered"}""")
        assertEquals(CallService::class.java.name, shadowOf(app).nextStartedService.component?.className)
        assertNull(shadowOf(manager).getNotification(CALL_NOTICE)) // the next one is its service's to show

        call("call", """{"call":"c","what":"ended"}""")
        assertEquals(CallService::class.java.name, shadowOf(app).nextStoppedService.component?.className)
    }

    @Test
    fun `the service of a call has the microphone's type`() {
        ring()
        call("call", """{"call":"c","what":"answered"}""")
        val service = Robolectric.buildService(CallService::class.java).create().startCommand(0, 1)
        assertEquals(
            ServiceInfo.FOREGROUND_SERVICE_TYPE_PHONE_CALL or ServiceInfo.FOREGROUND_SERVICE_TYPE_MICROPHONE,
            service.get().foregroundServiceType,
        )
        val ongoing = shadowOf(service.get()).lastForegroundNotification
        assertEquals("android.app.Notification\$CallStyle", ongoing.extras.getString(Notification.EXTRA_TEMPLATE))
        assertNull(ongoing.fullScreenIntent)
        assertNull(manager.getNotificationChannel(ongoing.channelId).sound)
        service.destroy()
    }

    @Test
    fun `declining at the notice opens nothing and tells the core`() {
        ring()
        val decline = Intent(app, NoticeReceiver::class.java).putExtra("org.sottovoce.phone.KIND", "decline").putExtra("org.sottovoce.phone.ID", "c")
        NoticeReceiver().onReceive(app, decline)
        idle()
        assertEquals(listOf("decline"), toldOf("call").map { it.getString("what") })
        assertNull(shadowOf(manager).getNotification(CALL_NOTICE))
    }

    @Test
    fun `our screen comes over the lock screen for a call and for nothing else`() {
        val activity = Robolectric.buildActivity(Activity::class.java).setup()
        phone.met(activity.get())
        assertFalse(shadowOf(activity.get()).showWhenLocked)
        ring()
        assertTrue(shadowOf(activity.get()).showWhenLocked)
        call("call", """{"call":"c","what":"ended"}""")
        assertFalse(shadowOf(activity.get()).showWhenLocked)
        activity.close()
    }
}

class PushTest : OnPhone() {
    private fun install(name: String) {
        val info = ResolveInfo().apply {
            activityInfo = ActivityInfo().apply {
                packageName = name
                this.name = "Receiver"
                applicationInfo = ApplicationInfo().apply {
                    packageName = name
                    nonLocalizedLabel = name.substringAfterLast('.')
                }
            }
        }
        @Suppress("DEPRECATION")
        shadowOf(app.packageManager).addResolveInfoForIntent(Intent("org.unifiedpush.android.distributor.REGISTER"), info)
    }

    private fun distributors() = (call("distributors") as JSONArray).let { all -> List(all.length()) { all.getJSONObject(it).getString("id") } }

    private fun register(): Intent {
        install("io.example.ntfy")
        call("pushRegister", """{"distributor":"io.example.ntfy","vapid":"BKey"}""")
        return shadowOf(app).broadcastIntents.last()
    }

    @Test
    fun `distributors that hand on to Google are not offered, nor is this app itself`() {
        listOf("io.example.ntfy", "org.unifiedpush.distributor.fcm", "com.google.android.gms", app.packageName).forEach(::install)
        assertEquals(listOf("io.example.ntfy"), distributors())
        assertThrows(IllegalArgumentException::class.java) { call("pushRegister", """{"distributor":"org.unifiedpush.distributor.fcm","vapid":null}""") }
    }

    @Test
    fun `registering, the endpoint, and keys that have the shape of RFC 8291`() {
        val asked = register()
        assertEquals("io.example.ntfy", asked.`package`)
        assertEquals(app.packageName, asked.getStringExtra("application"))
        assertEquals("BKey", asked.getStringExtra("vapid"))
        assertNotNull(asked.getParcelableExtra("pi", PendingIntent::class.java))
        val token = checkNotNull(asked.getStringExtra("token"))
        PushReceiver().onReceive(app, Intent("org.unifiedpush.android.connector.NEW_ENDPOINT").putExtra("token", token).putExtra("endpoint", "https://push.example/x"))
        val state = toldOf("push").single()
        assertEquals("https://push.example/x", state.getString("endpoint"))
        val decode = { text: String -> Base64.getUrlDecoder().decode(text) }
        assertEquals(65, decode(state.getString("p256dh")).size)
        assertEquals(4, decode(state.getString("p256dh"))[0].toInt())
        assertEquals(16, decode(state.getString("auth")).size)
        assertEquals("https://push.example/x", (call("pushState") as JSONObject).getString("endpoint"))
    }

    @Test
    fun `who does not know the token is not heard`() {
        val token = register().getStringExtra("token")
        shadowOf(app).clearStartedServices()
        for (wrong in listOf(null, "", "${token}x", "guess")) {
            PushReceiver().onReceive(app, Intent("org.unifiedpush.android.connector.MESSAGE").putExtra("token", wrong))
            PushReceiver().onReceive(app, Intent("org.unifiedpush.android.connector.NEW_ENDPOINT").putExtra("token", wrong).putExtra("endpoint", "https://evil.example"))
        }
        assertNull(shadowOf(app).nextStartedService)
        assertEquals(emptyList<JSONObject>(), toldOf("push"))
    }

    @Test
    fun `an endpoint without TLS, or without end, is not taken`() {
        val token = register().getStringExtra("token")
        for (endpoint in listOf(null, "http://push.example/x", "https://push.example/${"x".repeat(1000)}", "file:///x")) {
            PushReceiver().onReceive(app, Intent("org.unifiedpush.android.connector.NEW_ENDPOINT").putExtra("token", token).putExtra("endpoint", endpoint))
        }
        assertEquals(emptyList<JSONObject>(), toldOf("push"))
    }

    @Test
    fun `a push is acknowledged, and connects, drains and sleeps, whatever it carries`() {
        val token = register().getStringExtra("token")
        shadowOf(app).clearStartedServices()
        PushReceiver().onReceive(app, Intent("org.unifiedpush.android.connector.MESSAGE").putExtra("token", token).putExtra("id", "7").putExtra("bytesMessage", ByteArray(9)))
        val ack = shadowOf(app).broadcastIntents.last()
        assertEquals("org.unifiedpush.android.distributor.MESSAGE_ACK", ack.action)
        assertEquals("7", ack.getStringExtra("id"))
        assertEquals(MailboxService::class.java.name, shadowOf(app).nextStartedService.component?.className)
        assertNull(app.system<JobScheduler>().getPendingJob(1))
        assertTrue(ShadowPowerManager.getLatestWakeLock().isHeld)
        call("settled")
        assertFalse(ShadowPowerManager.getLatestWakeLock().isHeld)
    }

    @Test
    fun `leaving tells the distributor and keeps nothing`() {
        val token = register().getStringExtra("token")
        call("pushUnregister")
        val bye = shadowOf(app).broadcastIntents.last()
        assertEquals("org.unifiedpush.android.distributor.UNREGISTER", bye.action)
        assertEquals(token, bye.getStringExtra("token"))
        assertTrue((call("pushState") as JSONObject).isNull("p256dh"))
    }

    @Test
    fun `battery saving is asked about by the system's own question`() {
        assertEquals(app.system<PowerManager>().isIgnoringBatteryOptimizations(app.packageName), call("batteryExempt"))
        call("askBatteryExemption")
        assertEquals("android.settings.REQUEST_IGNORE_BATTERY_OPTIMIZATIONS", shadowOf(app).nextStartedActivity.action)
    }
}
