package org.sottovoce.phone.engine;

import org.signal.libsignal.internal.Native;
import org.signal.libsignal.metadata.protocol.UnidentifiedSenderMessageContent;
import org.signal.libsignal.protocol.state.IdentityKeyStore;

/**
 * Two functions that libsignal has, and offers in its package for Node, but not in its public classes for the JVM. They are marked as
 * internal for Kotlin, hence the Java. A new version of libsignal that changes them does not compile, or fails the conformance suite.
 */
final class LibsignalInternals {
    private LibsignalInternals() {}

    /** Opens the outer seal and no more, so that the certificate can be judged before a session is touched. */
    static UnidentifiedSenderMessageContent unseal(byte[] sealed, IdentityKeyStore identity) throws Exception {
        return new UnidentifiedSenderMessageContent(Native.SealedSessionCipher_DecryptToUsmc(sealed, identity));
    }

    /** The public class compares only codes that it has made in this process. */
    static boolean compareScannable(byte[] own, byte[] scanned) throws Exception {
        return Native.ScannableFingerprint_Compare(own, scanned);
    }
}
