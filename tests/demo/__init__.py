"""`make demo`: two people talk through a real relay with real libsignal, and the relay is searched for what it must not hold."""
