"""Tokens carry the epoch of their account, so that none outlives a change of the password.

Whoever holds a token from before logs in again: its epoch was never checked.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
beside_older = False


def upgrade() -> None:
    op.drop_index("ix_tokens_token_hash", "tokens")
    op.drop_table("tokens")
    op.create_table(
        "tokens",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "device_id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_tokens_accounts"),
    )
    op.create_index("ix_tokens_token_hash", "tokens", ["token_hash"])
