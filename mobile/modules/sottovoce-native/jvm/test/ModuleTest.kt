package org.sottovoce.phone

import android.content.Intent
import expo.modules.kotlin.Promise
import expo.modules.kotlin.modules.ModuleDefinitionBuilder
import java.io.File
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.sottovoce.phone.engine.EngineCalls

/** The module through a stand-in for Expo: what JavaScript calls by name does what it should. */
class ModuleTest : OnPhone() {
    private val module = SottovoceModule()
    private val definition: ModuleDefinitionBuilder by lazy {
        module.appContext.reactContext = app
        module.definition().definition
    }

    private fun ask(function: String, vararg given: Any?): Any? {
        var answer: Any? = null
        definition.functions.getValue(function)(given.toList(), object : Promise {
            override fun resolve(value: Any?) {
                answer = value
            }
        })
        idle()
        return answer
    }

    @Test
    fun `its name, its event and its functions`() {
        assertEquals("Sottovoce", definition.name)
        assertEquals(listOf("phone"), definition.events)
        assertEquals(setOf("engine", "call"), definition.functions.keys)
    }

    @Test
    fun `the engine answers, and so does the phone`() {
        assertTrue(JSONObject(ask("engine", "generateIdentity", "{}") as String).getJSONObject("ok").has("publicKey"))
        assertEquals("""{"ok":"open_only"}""", ask("call", "delivery", "{}"))
        assertEquals("""{"ok":null}""", ask("call", "settled", "{}"))
        assertThrows(IllegalArgumentException::class.java) { ask("call", "noSuchCall", "{}") }
    }

    @Test
    fun `events reach JavaScript while it is there`() {
        definition.create()
        ask("call", "timerSet", """{"id":5,"ms":0}""")
        assertEquals(listOf("phone" to mapOf("json" to """{"kind":"timer","id":5}""")), module.sent)
        definition.destroy()
        ask("call", "timerSet", """{"id":6,"ms":0}""")
        assertEquals(1, module.sent.size)
    }

    @Test
    fun `an intent of a notice that comes while the app is open is told`() {
        definition.create()
        definition.newIntent(Intent().putExtra("org.sottovoce.phone.KIND", "message").putExtra("org.sottovoce.phone.ID", "p"))
        definition.newIntent(Intent())
        assertEquals(1, module.sent.size)
    }

    @Test
    fun `the service that wakes JavaScript names the task that index registers`() {
        val service = Robolectric.buildService(WakeService::class.java).create().get()
        val config = WakeService::class.java.getDeclaredMethod("getTaskConfig", Intent::class.java).apply { isAccessible = true }.invoke(service, Intent())
        assertEquals("sottovoce-mail", config?.javaClass?.getMethod("getTaskKey")?.invoke(config))
    }

    /** The manifest and the proguard rules name classes as text. */
    @Test
    fun `every class that is named in the manifest exists`() {
        val manifest = File("../android/src/main/AndroidManifest.xml").readText()
        val rules = File("../android/consumer-rules.pro").readText()
        val named = Regex("""org\.sottovoce\.phone\.[\w.]*[A-Z]\w+""").findAll(manifest + rules).map { it.value }.toSet()
        assertTrue(named.size >= 8)
        named.forEach { Class.forName(it) }
    }

    @Test
    fun `no call of the engine is missing`() {
        assertEquals(12, EngineCalls.NAMES.size)
    }
}
