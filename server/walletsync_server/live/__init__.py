"""Who is listening for new wallets, and telling them. Imports nothing else of the server."""
