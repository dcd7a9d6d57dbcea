"""`make bare-machine`: the steps of docs/operations.md, as the page has them, in a Debian that has nothing yet."""
