/** What keeps other eyes and other apps away: screen, clipboard, keyboard, app lock. */
package org.sottovoce.phone.privacy

import android.app.Activity
import android.app.KeyguardManager
import android.content.ClipData
import android.content.ClipDescription
import android.content.ClipboardManager
import android.content.Context
import android.hardware.biometrics.BiometricManager
import android.hardware.biometrics.BiometricPrompt
import android.os.Build
import android.os.CancellationSignal
import android.os.Handler
import android.os.Looper
import android.os.PersistableBundle
import android.view.View
import android.view.ViewTreeObserver
import android.view.WindowManager
import android.view.inputmethod.EditorInfo
import android.view.inputmethod.InputMethodManager
import android.widget.EditText
import org.sottovoce.phone.system

/** FLAG_SECURE on every window of ours: no screenshots, no picture in the list of recent apps. On until a setting says otherwise. */
class ScreenGuard {
    private var secure = true

    fun set(on: Boolean, activity: Activity?) {
        secure = on
        activity?.let(::apply)
    }

    fun apply(activity: Activity) {
        val flag = WindowManager.LayoutParams.FLAG_SECURE
        activity.window.setFlags(if (secure) flag else 0, flag)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) activity.setRecentsScreenshotEnabled(!secure)
    }
}

/** What is copied is marked sensitive, so that no preview shows it, and is taken away again. */
class SensitiveClipboard(context: Context) {
    private val clipboard = context.system<ClipboardManager>()
    private val handler = Handler(Looper.getMainLooper())
    private var due = false

    fun copy(text: String, clearAfterS: Int) {
        handler.removeCallbacksAndMessages(null)
        due = false
        val clip = ClipData.newPlainText(OURS, text)
        clip.description.extras = PersistableBundle().apply { putBoolean(IS_SENSITIVE, true) }
        clipboard.setPrimaryClip(clip)
        if (clearAfterS > 0) handler.postDelayed(::clear, clearAfterS * 1000L)
    }

    fun read(): String = clipboard.primaryClip?.takeIf { it.itemCount > 0 }?.getItemAt(0)?.text?.toString() ?: ""

    /** An app that is not in front sees no clipboard, so it cannot know whether that is still its own: then this waits for [inFront]. */
    private fun clear() {
        val description: ClipDescription? = clipboard.primaryClipDescription
        due = description == null
        if (description?.label == OURS) clipboard.clearPrimaryClip()
    }

    fun inFront() {
        if (due) clear()
    }

    private companion object {
        /** Shown nowhere; tells ours from what others copied since. */
        const val OURS = "org.sottovoce.clip"

        /** ClipDescription.EXTRA_IS_SENSITIVE, which has a name only from API 33. */
        const val IS_SENSITIVE = "android.content.extra.IS_SENSITIVE"
    }
}

/** IME_FLAG_NO_PERSONALIZED_LEARNING on every text field that gets the focus. A keyboard may ignore it. */
class IncognitoKeyboard {
    private var on = true

    fun set(on: Boolean) {
        this.on = on
    }

    fun watch(activity: Activity) {
        activity.window.decorView.viewTreeObserver.addOnGlobalFocusChangeListener(ViewTreeObserver.OnGlobalFocusChangeListener { _, now -> mark(now) })
    }

    internal fun mark(view: View?) {
        val field = view as? EditText ?: return
        val flag = EditorInfo.IME_FLAG_NO_PERSONALIZED_LEARNING
        val options = if (on) field.imeOptions or flag else field.imeOptions and flag.inv()
        if (options == field.imeOptions) return
        field.imeOptions = options
        // The keyboard has already been told about the field without it.
        field.context.system<InputMethodManager>().restartInput(field)
    }
}

/** The system's own prompt. It guards the screens; the database has its key from the Keystore, so that mail can be received meanwhile. */
class AppLock(private val context: Context) {
    /** `none`, `credential` or `biometric`. */
    fun available(): String = when {
        !context.system<KeyguardManager>().isDeviceSecure -> "none"
        hasBiometrics() -> "biometric"
        else -> "credential"
    }

    private fun hasBiometrics(): Boolean {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R) return false // not asked for, since the prompt takes the credential anyway
        val manager = context.getSystemService(BiometricManager::class.java) ?: return false
        return manager.canAuthenticate(BiometricManager.Authenticators.BIOMETRIC_STRONG) == BiometricManager.BIOMETRIC_SUCCESS
    }

    /** On the main thread. [done] exactly once. */
    fun unlock(activity: Activity, title: String, cancel: String, done: (Boolean) -> Unit) {
        val prompt = BiometricPrompt.Builder(activity).setTitle(title)
        when {
            Build.VERSION.SDK_INT >= Build.VERSION_CODES.R -> prompt.setAllowedAuthenticators(
                BiometricManager.Authenticators.BIOMETRIC_STRONG or BiometricManager.Authenticators.DEVICE_CREDENTIAL,
            )
            Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q -> @Suppress("DEPRECATION") prompt.setDeviceCredentialAllowed(true)
            else -> prompt.setNegativeButton(cancel, activity.mainExecutor) { _, _ -> done(false) }
        }
        prompt.build().authenticate(CancellationSignal(), activity.mainExecutor, object : BiometricPrompt.AuthenticationCallback() {
            override fun onAuthenticationSucceeded(result: BiometricPrompt.AuthenticationResult) = done(true)

            /** One try that failed tells nothing yet; this is the end. */
            override fun onAuthenticationError(errorCode: Int, errString: CharSequence) = done(false)
        })
    }
}
