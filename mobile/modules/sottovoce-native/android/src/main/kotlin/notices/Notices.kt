/** Notifications. All words come ready-made from the screens, which know the language and how much may be shown. */
package org.sottovoce.phone.notices

import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.PendingIntent
import android.app.Person
import android.content.Context
import android.content.Intent
import android.graphics.drawable.Icon
import android.media.AudioAttributes
import android.media.RingtoneManager
import android.os.Build
import org.json.JSONObject
import org.sottovoce.phone.calls.CallWords
import org.sottovoce.phone.system

const val SERVICE_NOTICE = 1
const val CALL_NOTICE = 2
private const val MESSAGE_NOTICE = 3

private const val SERVICE = "service"
private const val MESSAGES = "messages"
private const val CALLS = "calls"
private const val ONGOING = "ongoing"

/** Names of channels in the system's settings, kept for when Android starts us before any screen has run. Nothing about people. */
private const val WORDS = "notice_words"

class Notices(private val context: Context) {
    private val manager: NotificationManager = context.system<NotificationManager>()
    private val kept = context.getSharedPreferences(WORDS, Context.MODE_PRIVATE)
    private var ongoing: Notification? = null

    /** `{"service", "messages", "calls", "ongoing"}`: the channels' names, and `serviceBody`. Fields that are absent stay as they were. */
    fun setWords(words: JSONObject) {
        val edit = kept.edit()
        for (name in words.keys()) edit.putString(name, words.getString(name))
        edit.apply()
        if (manager.getNotificationChannel(SERVICE) != null) manager.notify(SERVICE_NOTICE, serviceNotice())
    }

    fun allowed(): Boolean = manager.areNotificationsEnabled()

    // -- the service that keeps the mailbox open --

    fun serviceNotice(): Notification {
        channel(SERVICE, NotificationManager.IMPORTANCE_MIN) { setSound(null, null) }
        return builder(SERVICE)
            .setContentTitle(kept.getString(SERVICE, null) ?: appName())
            .setContentText(kept.getString("serviceBody", null))
            .setOngoing(true)
            .setVisibility(Notification.VISIBILITY_SECRET)
            .setContentIntent(opens(NoticeActions.OPEN, ""))
            .build()
    }

    // -- messages: one a conversation --

    fun showMessage(peer: String, title: String, body: String, unread: Int) {
        channel(MESSAGES, NotificationManager.IMPORTANCE_HIGH)
        val notice = builder(MESSAGES)
            .setContentTitle(title)
            .setContentText(body)
            .setNumber(unread)
            .setAutoCancel(true)
            .setCategory(Notification.CATEGORY_MESSAGE)
            .setVisibility(Notification.VISIBILITY_PRIVATE)
            .setContentIntent(opens(NoticeActions.MESSAGE, peer))
            .build()
        manager.notify(peer, MESSAGE_NOTICE, notice)
    }

    fun clear(peer: String) = manager.cancel(peer, MESSAGE_NOTICE)

    // -- calls --

    fun showRinging(call: String, words: CallWords) {
        channel(CALLS, NotificationManager.IMPORTANCE_HIGH) {
            // Self-managed calls ring by themselves.
            val usage = AudioAttributes.Builder().setUsage(AudioAttributes.USAGE_NOTIFICATION_RINGTONE).build()
            setSound(RingtoneManager.getDefaultUri(RingtoneManager.TYPE_RINGTONE), usage)
            enableVibration(true)
        }
        val answer = opens(NoticeActions.ANSWER, call)
        val decline = tells(NoticeActions.DECLINE, call)
        val builder = builder(CALLS)
            .setContentTitle(words.title)
            .setContentText(words.body)
            .setOngoing(true)
            .setCategory(Notification.CATEGORY_CALL)
            .setVisibility(Notification.VISIBILITY_PUBLIC) // the words are chosen for that
            .setContentIntent(opens(NoticeActions.CALL, call))
            .setFullScreenIntent(opens(NoticeActions.CALL, call), true)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            builder.setStyle(Notification.CallStyle.forIncomingCall(person(words.title), decline, answer))
        } else {
            builder.addAction(action(words.decline, decline)).addAction(action(words.answer, answer))
        }
        val notice = builder.build()
        notice.flags = notice.flags or Notification.FLAG_INSISTENT // until somebody does something about it
        manager.notify(CALL_NOTICE, notice)
    }

    /** Shown by [org.sottovoce.phone.calls.CallService] when it starts: Android takes a CallStyle only from a foreground service. */
    fun prepareOngoing(call: String, words: CallWords) {
        manager.cancel(CALL_NOTICE) // it rings no longer
        channel(ONGOING, NotificationManager.IMPORTANCE_LOW) { setSound(null, null) }
        val hangUp = tells(NoticeActions.HANG_UP, call)
        val builder = builder(ONGOING)
            .setContentTitle(words.title)
            .setOngoing(true)
            .setCategory(Notification.CATEGORY_CALL)
            .setContentIntent(opens(NoticeActions.CALL, call))
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            builder.setStyle(Notification.CallStyle.forOngoingCall(person(words.title), hangUp))
        } else {
            builder.addAction(action(words.hangUp, hangUp))
        }
        ongoing = builder.build()
    }

    /** What was prepared, or a bare one when the call is over already. */
    fun callNotice(): Notification = ongoing ?: run {
        channel(ONGOING, NotificationManager.IMPORTANCE_LOW) { setSound(null, null) }
        builder(ONGOING).setContentTitle(appName()).setOngoing(true).build()
    }

    fun hideCall() {
        ongoing = null
        manager.cancel(CALL_NOTICE)
    }

    // -- pieces --

    private fun channel(id: String, importance: Int, more: NotificationChannel.() -> Unit = {}) {
        val made = NotificationChannel(id, kept.getString(id, null) ?: appName(), importance)
        made.lockscreenVisibility = Notification.VISIBILITY_PRIVATE
        manager.createNotificationChannel(made.apply(more))
    }

    private fun builder(channel: String) = Notification.Builder(context, channel).setSmallIcon(smallIcon()).setShowWhen(false)

    /** The app's own, drawn for this by a config plugin; until then its launcher icon. */
    private fun smallIcon(): Int =
        context.resources.getIdentifier("notification_icon", "drawable", context.packageName).takeIf { it != 0 }
            ?: context.applicationInfo.icon.takeIf { it != 0 }
            ?: android.R.drawable.stat_notify_chat

    private fun appName(): String = context.applicationInfo.loadLabel(context.packageManager).toString()

    private fun person(name: String): Person = Person.Builder().setName(name.ifEmpty { appName() }).setImportant(true).build()

    private fun action(words: String, does: PendingIntent): Notification.Action =
        Notification.Action.Builder(Icon.createWithResource(context, smallIcon()), words, does).build()

    /** Opens the app; the module hears of it as `kind` and `id` in the intent that the activity gets. */
    private fun opens(kind: String, id: String): PendingIntent {
        val launch = context.packageManager.getLaunchIntentForPackage(context.packageName) ?: Intent().setPackage(context.packageName)
        launch.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK or Intent.FLAG_ACTIVITY_SINGLE_TOP)
        NoticeActions.write(launch, kind, id)
        return PendingIntent.getActivity(context, "$kind $id".hashCode(), launch, PendingIntent.FLAG_UPDATE_CURRENT or PendingIntent.FLAG_IMMUTABLE)
    }

    private fun tells(kind: String, id: String): PendingIntent {
        val intent = Intent(context, NoticeReceiver::class.java)
        NoticeActions.write(intent, kind, id)
        return PendingIntent.getBroadcast(context, "$kind $id".hashCode(), intent, PendingIntent.FLAG_UPDATE_CURRENT or PendingIntent.FLAG_IMMUTABLE)
    }
}
