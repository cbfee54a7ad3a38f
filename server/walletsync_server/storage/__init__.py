"""Where accounts, wallets and tokens are kept. SQLAlchemy lives here and nowhere else."""
