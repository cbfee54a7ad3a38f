"""The pages that people see in a browser. They need no script, no picture and nothing of another server."""
