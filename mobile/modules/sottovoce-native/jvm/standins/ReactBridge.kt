package com.facebook.react.bridge

interface WritableMap

object Arguments {
    @JvmStatic
    fun createMap(): WritableMap = object : WritableMap {}
}
