"""What the relay answers over HTTP, and its two sockets: check who asks, call the stores, map errors."""
