package org.sottovoce.phone

import android.app.Activity
import android.app.KeyguardManager
import android.content.ClipData
import android.content.ClipboardManager
import android.hardware.biometrics.BiometricManager
import android.os.Looper
import android.view.WindowManager
import android.view.inputmethod.EditorInfo
import android.widget.EditText
import java.time.Duration
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowBiometricManager

class PrivacyTest : OnPhone() {
    private fun later(seconds: Long) = shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(seconds))

    @Test
    fun `every window is secure from its creation until a setting says otherwise`() {
        val activity = Robolectric.buildActivity(Activity::class.java).create()
        val secure = { activity.get().window.attributes.flags and WindowManager.LayoutParams.FLAG_SECURE != 0 }
        assertTrue(secure())
        call("setSecure", """{"on":false}""")
        assertFalse(secure())
        call("setSecure", """{"on":true}""")
        assertTrue(secure())
        activity.close()
    }

    @Test
    fun `what is copied is marked sensitive and taken away, if it is still there`() {
        val clipboard = app.system<ClipboardManager>()
        call("copy", """{"text":"secret","clearAfterS":60}""")
        assertEquals("secret", call("paste"))
        assertTrue(checkNotNull(clipboard.primaryClipDescription).extras.getBoolean("android.content.extra.IS_SENSITIVE"))
        later(59)
        assertEquals("secret", call("paste"))
        later(2)
        assertNull(clipboard.primaryClip)

        call("copy", """{"text":"secret","clearAfterS":60}""")
        clipboard.setPrimaryClip(ClipData.newPlainText("theirs", "something else"))
        later(61)
        assertEquals("something else", call("paste"))

        call("copy", """{"text":"kept","clearAfterS":0}""")
        later(3600)
        assertEquals("kept", call("paste"))
    }

    @Test
    fun `text fields ask the keyboard not to learn`() {
        val activity = Robolectric.buildActivity(Activity::class.java).setup()
        val (one, two) = EditText(activity.get()) to EditText(activity.get())
        val flag = EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING
        phone.keyboard.mark(one)
        assertTrue(one.imeOptions and flag != 0)
        call("setIncognito", """{"on":false}""")
        phone.keyboard.mark(two)
        phone.keyboard.mark(one)
        assertTrue((one.imeOptions or two.imeOptions) and flag == 0)
        phone.keyboard.mark(null)
        activity.close()
    }

    @Test
    fun `the lock is honest about what there is to lock with`() {
        assertEquals("none", call("lockAvailable"))
        shadowOf(app.system<KeyguardManager>()).setIsDeviceSecure(true)
        assertEquals("biometric", call("lockAvailable"))
        Shadow.extract<ShadowBiometricManager>(app.system<BiometricManager>()).setCanAuthenticate(false)
        assertEquals("credential", call("lockAvailable"))
        assertEquals(false, call("unlock", """{"title":"Unlock","cancel":"Cancel"}""")) // nobody is in front of a screen
    }
}
