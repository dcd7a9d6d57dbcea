"""Model-based tests: long random lives, made by Hypothesis, held against a small model of what must be true."""
