"""The catalogue over HTTP: merchants, services, and what the public sees of them."""
