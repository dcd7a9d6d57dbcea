/**
 * Stand-ins for the few classes of androidx.test that Robolectric touches when it starts. The real ones are published only in
 * Android's own repository, as archives for Gradle; nothing here is used by our tests, so recording what is told is enough.
 */
package androidx.test.platform.app

import android.app.Instrumentation
import android.os.Bundle

object InstrumentationRegistry {
    @JvmStatic
    @Suppress("UNUSED_PARAMETER")
    fun registerInstance(instrumentation: Instrumentation?, arguments: Bundle?) = Unit
}
