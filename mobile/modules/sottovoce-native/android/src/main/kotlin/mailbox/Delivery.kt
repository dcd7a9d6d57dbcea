/** How messages reach the phone while the app is not open: the person's choice, and what follows from it. */
package org.sottovoce.phone.mailbox

import android.app.AlarmManager
import android.app.PendingIntent
import android.app.Service
import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.pm.ServiceInfo
import android.net.ConnectivityManager
import android.net.Network
import android.os.Build
import android.os.Handler
import android.os.IBinder
import android.os.Looper
import android.os.PowerManager
import android.os.SystemClock
import org.sottovoce.phone.Phone
import org.sottovoce.phone.notices.SERVICE_NOTICE
import org.sottovoce.phone.startInForeground
import org.sottovoce.phone.system

/** The words of Delivery.mode in mobile/src/ui/device/device.ts. */
enum class DeliveryMode(val word: String) {
    SERVICE("service"),
    UNIFIED_PUSH("unified_push"),
    OPEN_ONLY("open_only"),
    ;

    companion object {
        fun of(word: String?): DeliveryMode? = entries.firstOrNull { it.word == word }
    }
}

private const val FILE = "delivery"
private const val MODE = "mode"
private const val TICK = "org.sottovoce.phone.TICK"
private const val DRAIN = "org.sottovoce.phone.DRAIN"

/** After a push: time to start JavaScript on a slow phone, connect and drain. */
private const val DRAIN_WITHIN_MS = 90_000L

/** Time to decrypt what one frame brought. */
private const val AWAKE_MS = 30_000L

class Delivery(private val context: Context) {
    private val kept = context.getSharedPreferences(FILE, Context.MODE_PRIVATE)

    /** Until somebody has joined there is nothing to keep open. */
    var mode: DeliveryMode
        get() = DeliveryMode.of(kept.getString(MODE, null)) ?: DeliveryMode.OPEN_ONLY
        set(mode) {
            kept.edit().putString(MODE, mode.word).commit() // read again by the boot receiver of another process
            apply(mode)
        }

    fun apply(mode: DeliveryMode = this.mode) {
        if (mode == DeliveryMode.SERVICE) start(context, null) else context.stopService(Intent(context, MailboxService::class.java))
        Phone.of(context).mailbox.tell(MailboxEvent.Wanted(mode == DeliveryMode.SERVICE))
    }

    /** A push came: connect, drain, sleep. False when Android does not let a service begin now. */
    fun drain(): Boolean = start(context, DRAIN)

    companion object {
        fun start(context: Context, action: String?): Boolean = context.startInForeground(Intent(context, MailboxService::class.java).setAction(action))
    }
}

/** Keeps the process alive, type remoteMessaging: Android limits dataSync to six hours a day. The socket itself is MailboxRunner's. */
class MailboxService : Service() {
    private val handler = Handler(Looper.getMainLooper())
    private val networks = object : ConnectivityManager.NetworkCallback() {
        override fun onAvailable(network: Network) = Phone.of(this@MailboxService).mailbox.tell(MailboxEvent.NetworkCame)
    }

    override fun onBind(intent: Intent?): IBinder? = null

    override fun onCreate() {
        super.onCreate()
        system<ConnectivityManager>().registerDefaultNetworkCallback(networks)
    }

    override fun onStartCommand(intent: Intent?, flags: Int, startId: Int): Int {
        val phone = Phone.of(this)
        val notice = phone.notices.serviceNotice()
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.UPSIDE_DOWN_CAKE) {
            startForeground(SERVICE_NOTICE, notice, ServiceInfo.FOREGROUND_SERVICE_TYPE_REMOTE_MESSAGING)
        } else {
            startForeground(SERVICE_NOTICE, notice)
        }
        when (intent?.action) {
            TICK -> {
                phone.timeIsUp()
                // The alarm of a session that is open because the app is: nothing is kept for it.
                if (phone.delivery.mode != DeliveryMode.SERVICE) stopSelf(startId)
            }
            DRAIN -> {
                phone.wakeCore()
                handler.postDelayed({ drained(startId) }, DRAIN_WITHIN_MS)
            }
            else -> phone.mailbox.tell(MailboxEvent.Wanted(true))
        }
        return if (phone.delivery.mode == DeliveryMode.SERVICE) START_STICKY else START_NOT_STICKY
    }

    private fun drained(startId: Int) {
        if (Phone.of(this).delivery.mode != DeliveryMode.SERVICE) stopSelf(startId)
    }

    override fun onDestroy() {
        handler.removeCallbacksAndMessages(null)
        system<ConnectivityManager>().unregisterNetworkCallback(networks)
        super.onDestroy()
    }
}

/** After a start of the phone, and after an update of the app, which ends its service. */
class BootReceiver : BroadcastReceiver() {
    override fun onReceive(context: Context, intent: Intent) {
        if (intent.action != Intent.ACTION_BOOT_COMPLETED && intent.action != Intent.ACTION_MY_PACKAGE_REPLACED) return
        if (Phone.of(context).delivery.mode == DeliveryMode.SERVICE) Delivery.start(context, null)
    }
}

/** One timer. The handler is exact while the processor runs; the alarm fires when it sleeps, in Doze at most every nine minutes. */
class DozeTimer(private val context: Context, private val due: () -> Unit) {
    private val handler = Handler(Looper.getMainLooper())
    private val alarms = context.system<AlarmManager>()
    private val intent = PendingIntent.getService(
        context,
        0,
        Intent(context, MailboxService::class.java).setAction(TICK),
        PendingIntent.FLAG_IMMUTABLE or PendingIntent.FLAG_UPDATE_CURRENT,
    )
    private var at = Long.MAX_VALUE

    /** Replaces what was set; null only takes it away. */
    fun set(afterMs: Long?) {
        handler.removeCallbacksAndMessages(null)
        alarms.cancel(intent)
        at = if (afterMs == null) Long.MAX_VALUE else SystemClock.elapsedRealtime() + afterMs
        if (afterMs == null) return
        handler.postDelayed(::ring, afterMs)
        alarms.setAndAllowWhileIdle(AlarmManager.ELAPSED_REALTIME_WAKEUP, at, intent)
    }

    /** By whichever came first; the other then finds nothing to do. */
    fun ring() {
        if (SystemClock.elapsedRealtime() < at) return
        set(null)
        due()
    }
}

/** Keeps the processor awake for a while; a later call begins the while anew. */
class Wakefulness(context: Context) {
    private val lock = context.system<PowerManager>()
        .newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "sottovoce:mail")
        .apply { setReferenceCounted(false) }

    fun hold() = lock.acquire(AWAKE_MS)

    fun release() {
        if (lock.isHeld) lock.release()
    }
}
