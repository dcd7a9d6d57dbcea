package org.sottovoce.phone.calls

import android.app.Service
import android.content.Intent
import android.content.pm.ServiceInfo
import android.os.Build
import android.os.IBinder
import org.sottovoce.phone.Phone
import org.sottovoce.phone.notices.CALL_NOTICE

/** Runs as long as a call that was answered or placed: Android gives the microphone to nobody in the background without it. */
class CallService : Service() {
    override fun onBind(intent: Intent?): IBinder? = null

    override fun onStartCommand(intent: Intent?, flags: Int, startId: Int): Int {
        val notice = Phone.of(this).notices.callNotice()
        val types = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            ServiceInfo.FOREGROUND_SERVICE_TYPE_PHONE_CALL or ServiceInfo.FOREGROUND_SERVICE_TYPE_MICROPHONE
        } else {
            ServiceInfo.FOREGROUND_SERVICE_TYPE_PHONE_CALL
        }
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) startForeground(CALL_NOTICE, notice, types) else startForeground(CALL_NOTICE, notice)
        return START_NOT_STICKY // a call does not survive its process
    }
}
