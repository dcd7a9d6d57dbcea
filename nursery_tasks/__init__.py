"""Every long-running task of the relay: the four of a mailbox session, the two of a post session, and the relay-wide ones."""
