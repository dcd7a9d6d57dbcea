"""Coverage-guided fuzzing (atheris) of what reads bytes of strangers: `make fuzz`. The targets are tried once each in the tests, too."""
