package org.sottovoce.phone.notices

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import org.sottovoce.phone.Phone

private const val KIND = "org.sottovoce.phone.KIND"
private const val ID = "org.sottovoce.phone.ID"

/** What somebody did at a notification: the words of `onOpened` in mobile/src/ui/device/device.ts, and two that only Telecom knows. */
object NoticeActions {
    const val OPEN = "open"
    const val MESSAGE = "message"
    const val CALL = "call"
    const val ANSWER = "answer"
    const val DECLINE = "decline"
    const val HANG_UP = "hang_up"

    fun write(intent: Intent, kind: String, id: String) {
        intent.putExtra(KIND, kind).putExtra(ID, id)
    }

    /** Null for an intent of somebody else. Taken out, so that a rotated screen does not answer a second time. */
    fun take(intent: Intent): Pair<String, String>? {
        val kind = intent.getStringExtra(KIND) ?: return null
        val id = intent.getStringExtra(ID) ?: return null
        intent.removeExtra(KIND)
        intent.removeExtra(ID)
        return kind to id
    }
}

/** Buttons that open nothing. Not exported: only our own notifications reach it. */
class NoticeReceiver : BroadcastReceiver() {
    override fun onReceive(context: Context, intent: Intent) {
        NoticeActions.take(intent)?.let { (kind, id) -> Phone.of(context).touched(kind, id) }
    }
}
