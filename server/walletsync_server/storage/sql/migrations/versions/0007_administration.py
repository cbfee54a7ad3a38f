"""Accounts that are disabled without being deleted, how many bytes an account may have, and which were deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
beside_older = False


def upgrade() -> None:
    op.add_column("accounts", sa.Column("disabled_at", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("quota", sa.BigInteger(), nullable=True))
    op.create_table(
        "deletions",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_deletions"),
    )
