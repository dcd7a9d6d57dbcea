"""Faults: real relay processes under load and injury, every post written down, and a checker that says what was broken."""
