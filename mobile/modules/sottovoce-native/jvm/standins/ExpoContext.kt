package expo.modules.kotlin

import android.app.Activity
import android.content.Context

class AppContext {
    var reactContext: Context? = null
    var currentActivity: Activity? = null
}

interface Promise {
    fun resolve(value: Any?)
}
