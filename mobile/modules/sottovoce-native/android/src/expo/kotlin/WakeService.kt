package org.sottovoce.phone

import android.content.Intent
import com.facebook.react.HeadlessJsTaskService
import com.facebook.react.bridge.Arguments
import com.facebook.react.jstasks.HeadlessJsTaskConfig

/** The name that index.ts registers its task under. */
private const val TASK = "sottovoce-mail"

/** A connection, and a mailbox of 1000 envelopes on a slow phone. */
private const val WITHIN_MS = 120_000L

/** Runs JavaScript without a screen; the task ends when what waited is settled. */
class WakeService : HeadlessJsTaskService() {
    override fun getTaskConfig(intent: Intent?): HeadlessJsTaskConfig =
        HeadlessJsTaskConfig(TASK, Arguments.createMap(), WITHIN_MS, isAllowedInForeground = true)
}
