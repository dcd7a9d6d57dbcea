/** What JavaScript sees of this module: two functions and one event, all text. What is behind them is plain Kotlin and tested without Expo. */
package org.sottovoce.phone

import android.content.Context
import expo.modules.kotlin.Promise
import expo.modules.kotlin.exception.Exceptions
import expo.modules.kotlin.modules.Module
import expo.modules.kotlin.modules.ModuleDefinition
import org.sottovoce.phone.engine.EngineCalls

class SottovoceModule : Module() {
    private val context: Context get() = appContext.reactContext?.applicationContext ?: throw Exceptions.ReactContextLost()
    private val phone get() = Phone.of(context)
    private val engine by lazy { EngineCalls() }
    private val calls by lazy { PhoneCalls(context) }

    override fun definition() = ModuleDefinition {
        Name("Sottovoce")
        Events("phone")

        OnCreate {
            appContext.currentActivity?.let(phone::met)
            phone.coreCame { event -> sendEvent("phone", mapOf("json" to event.toString())) }
        }
        OnDestroy { phone.coreGone() }
        OnNewIntent { intent -> phone.newIntent(intent) }

        AsyncFunction("engine") { call: String, arguments: String -> engine.answer(call, arguments) }
        AsyncFunction("call") { name: String, arguments: String, promise: Promise ->
            calls.answer(name, arguments) { promise.resolve(it) }
        }
    }
}
