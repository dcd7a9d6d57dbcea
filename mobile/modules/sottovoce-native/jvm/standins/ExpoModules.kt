/**
 * Stand-ins for the part of expo-modules-core that SottovoceModule calls. The real one is an Android library that is compiled with the app; here its
 * functions are only written down, so that the module can be compiled and its functions called by name.
 * mobile/tests/android/standins.android.ts compares them with the sources that npm brings.
 */
package expo.modules.kotlin.modules

import android.content.Intent
import expo.modules.kotlin.AppContext
import expo.modules.kotlin.Promise

abstract class Module {
    var appContext: AppContext = AppContext()
    val sent = mutableListOf<Pair<String, Map<String, Any?>>>()

    fun sendEvent(name: String, body: Map<String, Any?>) {
        sent += name to body
    }

    abstract fun definition(): ModuleDefinitionData
}

class ModuleDefinitionData(val definition: ModuleDefinitionBuilder)

@Suppress("FunctionName")
inline fun Module.ModuleDefinition(crossinline block: ModuleDefinitionBuilder.() -> Unit): ModuleDefinitionData =
    ModuleDefinitionData(ModuleDefinitionBuilder().also { it.block() })

@Suppress("FunctionName")
class ModuleDefinitionBuilder {
    var name: String? = null
    val events = mutableListOf<String>()
    val functions = mutableMapOf<String, (List<Any?>, Promise) -> Unit>()
    var create: () -> Unit = {}
    var destroy: () -> Unit = {}
    var newIntent: (Intent) -> Unit = {}

    fun Name(name: String) {
        this.name = name
    }

    fun Events(vararg events: String) {
        this.events += events
    }

    inline fun OnCreate(crossinline body: () -> Unit) {
        create = { body() }
    }

    inline fun OnDestroy(crossinline body: () -> Unit) {
        destroy = { body() }
    }

    inline fun OnNewIntent(crossinline body: (Intent) -> Unit) {
        newIntent = { body(it) }
    }

    inline fun <reified R, reified P0, reified P1> AsyncFunction(name: String, crossinline body: (p0: P0, p1: P1) -> R) {
        functions[name] = { given, promise -> promise.resolve(body(given[0] as P0, given[1] as P1)) }
    }

    @JvmName("AsyncFunctionWithPromise")
    inline fun <reified R, reified P0, reified P1> AsyncFunction(name: String, crossinline body: (p0: P0, p1: P1, p2: Promise) -> R) {
        functions[name] = { given, promise -> body(given[0] as P0, given[1] as P1, promise) }
    }
}
