package org.sottovoce.phone

import android.app.ForegroundServiceStartNotAllowedException
import android.content.Context
import android.content.Intent
import android.os.Build

/** A service of the system that every phone has. */
internal inline fun <reified T : Any> Context.system(): T = checkNotNull(getSystemService(T::class.java)) { "Android has no ${T::class.java.simpleName}" }

/** False when Android does not let a service begin now: from API 31, in the background without an exemption. */
internal fun Context.startInForeground(service: Intent): Boolean =
    try {
        startForegroundService(service)
        true
    } catch (error: IllegalStateException) {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.S || error !is ForegroundServiceStartNotAllowedException) throw error
        false
    }
