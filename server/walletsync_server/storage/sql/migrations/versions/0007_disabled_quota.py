"""Accounts that are disabled without being deleted, and how many bytes an account may have."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("disabled_at", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("quota", sa.BigInteger(), nullable=True))
