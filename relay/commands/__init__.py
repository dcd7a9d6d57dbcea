"""The operator's commands, one a module; relay/cli.py lists them and says what their exit codes mean."""
