/** libsignal's many exceptions as the engine's few words. The words are those of EngineErrorCode in engine.ts. */
package org.sottovoce.phone.engine

import org.signal.libsignal.metadata.InvalidMetadataMessageException
import org.signal.libsignal.metadata.InvalidMetadataVersionException
import org.signal.libsignal.metadata.certificate.InvalidCertificateException
import org.signal.libsignal.protocol.DuplicateMessageException
import org.signal.libsignal.protocol.InvalidKeyException
import org.signal.libsignal.protocol.InvalidKeyIdException
import org.signal.libsignal.protocol.InvalidMacException
import org.signal.libsignal.protocol.InvalidMessageException
import org.signal.libsignal.protocol.InvalidRegistrationIdException
import org.signal.libsignal.protocol.InvalidSessionException
import org.signal.libsignal.protocol.InvalidVersionException
import org.signal.libsignal.protocol.LegacyMessageException
import org.signal.libsignal.protocol.NoSessionException
import org.signal.libsignal.protocol.UntrustedIdentityException
import org.signal.libsignal.protocol.fingerprint.FingerprintParsingException
import org.signal.libsignal.protocol.fingerprint.FingerprintVersionMismatchException

enum class Refusal(val code: String, val words: String) {
    DUPLICATE("duplicate", "this message was read before"),
    MISSING_PREKEY("missing_prekey", "a prekey the message names is not here"),
    UNTRUSTED_IDENTITY("untrusted_identity", "the identity key is not the known one"),
    UNDECRYPTABLE("undecryptable", "libsignal could not read the message"),
    NO_SESSION("no_session", "there is no session to encrypt with"),
    BAD_BUNDLE("bad_bundle", "libsignal refused the prekey bundle"),
    BAD_CERTIFICATE("bad_certificate", "the trust root did not sign this certificate, or it had expired"),
    BAD_FINGERPRINT("bad_fingerprint", "this is no safety number of this version"),
    NOT_FOR_ME("not_for_me", "the seal does not open with this identity"),
}

/** The engine's verdict on what it was given. The library's own words may name addresses and counters, so they stay behind. */
class EngineRefusal(val refusal: Refusal) : Exception(refusal.words)

/** Each class by name: a shrunk release build knows no package names any more. What is not listed is a fault of this machine. */
internal fun verdict(error: Exception, otherwise: Refusal): Exception =
    when (error) {
        is EngineRefusal -> error
        is DuplicateMessageException -> EngineRefusal(Refusal.DUPLICATE)
        is UntrustedIdentityException -> EngineRefusal(Refusal.UNTRUSTED_IDENTITY)
        is InvalidKeyException,
        is InvalidKeyIdException,
        is InvalidMacException,
        is InvalidMessageException,
        is InvalidRegistrationIdException,
        is InvalidSessionException,
        is InvalidVersionException,
        is LegacyMessageException,
        is NoSessionException,
        is InvalidMetadataMessageException,
        is InvalidMetadataVersionException,
        is InvalidCertificateException,
        is FingerprintParsingException,
        is FingerprintVersionMismatchException,
        is IllegalArgumentException, // how the library's bridge says that bytes have the wrong shape
        -> EngineRefusal(otherwise)
        else -> error
    }
