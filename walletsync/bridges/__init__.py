"""Wallet programs that are asked for their labels and told of others', so that nobody exports and imports files."""
