"""Attacks on a running relay that no other folder tries: crowds, races, forged headers. docs/attacks.md lists all and where each is tried."""
