"""Every SQL statement of the relay, named, in one module a subject."""
