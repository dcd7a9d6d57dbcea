"""`make proof`: what a relay receives, stores, logs and writes to disk in a week of two people's life, searched for what it must not know."""
