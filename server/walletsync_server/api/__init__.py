"""HTTP without IO: a request's bytes in, an answer's bytes out. Each handler parses, asks a service, and replies."""
