"""Calls, as far as the relay has to do with them: credentials, coturn and its configuration."""
