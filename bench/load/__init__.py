"""The load generator: a process of its own on a core of its own. Plain asyncio and hand-written clients, so that it is not what is measured."""
