"""The relay: stores and forwards sealed blobs it cannot read, without learning who writes to whom.

`relay` holds what the relay knows (accounts, prekeys, mailbox, signals) and its edges (HTTP, sockets, PostgreSQL);
`nursery_tasks` holds what runs in time.
"""
