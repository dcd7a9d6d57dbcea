package com.facebook.react.jstasks

import com.facebook.react.bridge.WritableMap

@Suppress("unused")
class HeadlessJsTaskConfig(val taskKey: String, val data: WritableMap, val timeout: Long = 0, val isAllowedInForeground: Boolean = false)
