"""Accounts, the versions of their wallets, the tokens of their devices, and the server's own values."""

import sqlalchemy as sa
from alembic import op

from walletsync_server.storage.sql.schema import NAME

revision = "0001"
down_revision = None
beside_older = False


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("email", NAME, nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("salt_seed", sa.LargeBinary(), nullable=True),
        sa.Column("current_sequence", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_accounts"),
        sa.UniqueConstraint("email", name="uq_accounts_email"),
    )
    op.create_table(
        "wallets",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("hmac", sa.LargeBinary(), nullable=False),
        sa.Column("encrypted_wallet", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "sequence", name="pk_wallets"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_wallets_accounts"),
    )
    op.create_table(
        "tokens",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "device_id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_tokens_accounts"),
    )
    op.create_index("ix_tokens_token_hash", "tokens", ["token_hash"])
    op.create_table(
        "server_values",
        sa.Column("name", NAME, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_server_values"),
    )
