"""What `relay doctor` looks at: the machine, the database, the way in from outside. Each check finds one thing and says what to do about it."""
