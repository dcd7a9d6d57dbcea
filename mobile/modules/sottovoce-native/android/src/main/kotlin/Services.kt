package org.sottovoce.phone

import android.content.Context

/** A service of the system that every phone has. */
internal inline fun <reified T : Any> Context.system(): T = checkNotNull(getSystemService(T::class.java)) { "Android has no ${T::class.java.simpleName}" }
