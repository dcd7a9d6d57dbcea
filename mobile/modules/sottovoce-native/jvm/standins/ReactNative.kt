/** Stand-ins for the part of React Native that WakeService calls; see ExpoModules.kt. */
package com.facebook.react

import android.app.Service
import android.content.Intent
import android.os.IBinder
import com.facebook.react.jstasks.HeadlessJsTaskConfig

abstract class HeadlessJsTaskService : Service() {
    protected open fun getTaskConfig(intent: Intent?): HeadlessJsTaskConfig? = null

    override fun onBind(intent: Intent): IBinder? = null
}
