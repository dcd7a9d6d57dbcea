/** The phone's side of a call in Android's Telecom: a self-managed ConnectionService, so that calls of the telephone, cars and headsets know of ours. */
package org.sottovoce.phone.calls

import android.content.ComponentName
import android.content.Context
import android.net.Uri
import android.os.Bundle
import android.telecom.CallAudioState
import android.telecom.Connection
import android.telecom.ConnectionRequest
import android.telecom.ConnectionService
import android.telecom.DisconnectCause
import android.telecom.PhoneAccount
import android.telecom.PhoneAccountHandle
import android.telecom.TelecomManager
import org.sottovoce.phone.Phone

private const val CALL = "org.sottovoce.phone.CALL"

/** Not a number and not a name: Telecom may keep a log, and hands addresses on to other apps. */
private const val SCHEME = "sottovoce"

class CallConnections(private val context: Context) {
    private val telecom: TelecomManager? = context.getSystemService(TelecomManager::class.java)
    private val account = PhoneAccountHandle(ComponentName(context, CallConnectionService::class.java), "calls")
    private val connections = mutableMapOf<String, CallConnection>()

    /** Ended before Telecom had made a connection for them: one that comes now must not ring. */
    private val over = ArrayDeque<String>()
    private var registered = false

    /** True when Telecom was asked; it answers through [CallConnectionService]. */
    fun ask(call: String, incoming: Boolean): Boolean {
        val manager = telecom ?: return false
        return try {
            register(manager)
            val about = Bundle().apply { putString(CALL, call) }
            if (incoming) {
                manager.addNewIncomingCall(account, Bundle().apply { putBundle(TelecomManager.EXTRA_INCOMING_CALL_EXTRAS, about) })
            } else {
                val extras = Bundle().apply {
                    putParcelable(TelecomManager.EXTRA_PHONE_ACCOUNT_HANDLE, account)
                    putBundle(TelecomManager.EXTRA_OUTGOING_CALL_EXTRAS, about)
                }
                manager.placeCall(Uri.fromParts(SCHEME, "call", null), extras)
            }
            true
        } catch (error: SecurityException) {
            false // no such permission on this phone, or no Telecom behind the interface
        } catch (error: UnsupportedOperationException) {
            false
        }
    }

    private fun register(manager: TelecomManager) {
        if (registered) return
        val capabilities = PhoneAccount.CAPABILITY_SELF_MANAGED
        val label = context.applicationInfo.loadLabel(context.packageManager)
        val extras = Bundle().apply { putBoolean(PhoneAccount.EXTRA_LOG_SELF_MANAGED_CALLS, false) } // who called whom stays in our database
        manager.registerPhoneAccount(PhoneAccount.builder(account, label).setCapabilities(capabilities).setExtras(extras).addSupportedUriScheme(SCHEME).build())
        registered = true
    }

    internal fun made(connection: CallConnection) {
        connections[connection.call] = connection
        if (over.remove(connection.call)) setDisconnected(connection.call, Why.ENDED_THERE)
    }

    fun setActive(call: String) {
        connections[call]?.setActive()
    }

    fun setDisconnected(call: String, why: Why) {
        val connection = connections.remove(call)
        if (connection == null) {
            over.addLast(call)
            if (over.size > 8) over.removeFirst()
            return
        }
        val cause = when (why) {
            Why.ENDED_HERE -> DisconnectCause.LOCAL
            Why.ENDED_THERE -> DisconnectCause.REMOTE
            Why.DECLINED -> DisconnectCause.REJECTED
            Why.BUSY -> DisconnectCause.BUSY
        }
        connection.setDisconnected(DisconnectCause(cause))
        connection.destroy()
    }

    /** The one that audio can be routed for. */
    fun current(): CallConnection? = connections.values.lastOrNull()
}

class CallConnectionService : ConnectionService() {
    private val calls get() = Phone.of(this).calls

    override fun onCreateIncomingConnection(account: PhoneAccountHandle?, request: ConnectionRequest): Connection? = create(request, incoming = true)

    override fun onCreateOutgoingConnection(account: PhoneAccountHandle?, request: ConnectionRequest): Connection? = create(request, incoming = false)

    override fun onCreateIncomingConnectionFailed(account: PhoneAccountHandle?, request: ConnectionRequest?) = refused(request)

    override fun onCreateOutgoingConnectionFailed(account: PhoneAccountHandle?, request: ConnectionRequest?) = refused(request)

    private fun create(request: ConnectionRequest, incoming: Boolean): Connection {
        val call = request.call() ?: return Connection.createFailedConnection(DisconnectCause(DisconnectCause.ERROR))
        val connection = CallConnection(call, calls)
        connection.connectionProperties = Connection.PROPERTY_SELF_MANAGED
        connection.connectionCapabilities = Connection.CAPABILITY_HOLD or Connection.CAPABILITY_SUPPORT_HOLD or Connection.CAPABILITY_MUTE
        connection.audioModeIsVoip = true
        if (incoming) connection.setRinging() else connection.setDialing()
        calls.made(connection, incoming)
        return connection
    }

    private fun refused(request: ConnectionRequest?) {
        request?.call()?.let { calls.tell(CallEvent.TelecomRefused(it)) }
    }

    private fun ConnectionRequest.call(): String? = extras?.getString(CALL)
}

class CallConnection(val call: String, private val calls: Calls) : Connection() {
    /** Only now may it ring: Telecom has looked at what else is going on. */
    override fun onShowIncomingCallUi() = calls.tell(CallEvent.TelecomReady(call))

    override fun onAnswer() = calls.tell(CallEvent.PersonAnswers(call))

    override fun onReject() = calls.tell(CallEvent.PersonDeclines(call))

    override fun onDisconnect() = calls.tell(CallEvent.PersonHangsUp(call))

    override fun onAbort() = calls.tell(CallEvent.PersonHangsUp(call))

    override fun onHold() {
        setOnHold()
        calls.tell(CallEvent.Held(call, held = true))
    }

    override fun onUnhold() {
        setActive()
        calls.tell(CallEvent.Held(call, held = false))
    }

    @Deprecated("the newer call audio endpoints need API 34")
    override fun onCallAudioStateChanged(state: CallAudioState) = calls.routesChanged(state)
}
