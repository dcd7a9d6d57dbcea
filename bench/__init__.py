"""How fast and how costly the relay is, against its peers, in one go. docs/benchmarks.md says how to run it and how to read it."""
