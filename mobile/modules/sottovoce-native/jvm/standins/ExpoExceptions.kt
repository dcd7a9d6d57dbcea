package expo.modules.kotlin.exception

object Exceptions {
    class ReactContextLost : Exception("The react context has been lost")
}
