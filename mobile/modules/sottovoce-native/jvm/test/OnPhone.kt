package org.sottovoce.phone

import android.app.Application
import android.os.Looper
import org.json.JSONObject
import org.junit.After
import org.junit.Before
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** A phone of Android 15 under Robolectric, with JavaScript's end in the test's hand. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35], manifest = Config.NONE)
abstract class OnPhone {
    protected val app: Application get() = RuntimeEnvironment.getApplication()
    protected lateinit var phone: Phone
    protected val told = mutableListOf<JSONObject>()

    @Before
    fun switchOn() {
        Phone.forget()
        phone = Phone.of(app)
        phone.coreCame { told += it }
    }

    @After
    fun switchOff() {
        phone.coreGone()
        idle()
    }

    /** Everything that was put on the main thread has run. */
    protected fun idle() = shadowOf(Looper.getMainLooper()).idle()

    protected fun call(name: String, arguments: String = "{}"): Any? {
        var answer: String? = null
        PhoneCalls(app, phone).answer(name, arguments) { answer = it }
        idle()
        return JSONObject(checkNotNull(answer) { "no answer" }).get("ok").takeIf { it != JSONObject.NULL }
    }

    protected fun toldOf(kind: String): List<JSONObject> = told.filter { it.getString("kind") == kind }
}
