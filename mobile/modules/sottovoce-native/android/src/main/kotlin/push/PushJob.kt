package org.sottovoce.phone.push

import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.app.job.JobService
import android.content.ComponentName
import android.content.Context
import android.os.Build
import android.os.Handler
import android.os.Looper
import org.sottovoce.phone.Phone
import org.sottovoce.phone.system

private const val JOB = 1

/** How long a job holds the process for JavaScript to connect and drain. */
private const val WITHIN_MS = 60_000L

/** The second way after a push, when Android does not let a service begin from the background: a job, at once if there is quota for it. */
class PushJob : JobService() {
    private val handler = Handler(Looper.getMainLooper())

    override fun onStartJob(params: JobParameters): Boolean {
        Phone.of(this).wakeCore()
        handler.postDelayed({ jobFinished(params, false) }, WITHIN_MS)
        return true
    }

    override fun onStopJob(params: JobParameters): Boolean {
        handler.removeCallbacksAndMessages(null)
        return false
    }

    companion object {
        fun schedule(context: Context) {
            val job = JobInfo.Builder(JOB, ComponentName(context, PushJob::class.java)).setRequiredNetworkType(JobInfo.NETWORK_TYPE_ANY)
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) job.setExpedited(true) else job.setOverrideDeadline(0)
            context.system<JobScheduler>().schedule(job.build())
        }
    }
}
