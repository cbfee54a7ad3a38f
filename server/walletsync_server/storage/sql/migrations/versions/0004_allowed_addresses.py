"""Addresses that the operator allows to sign up."""

import sqlalchemy as sa
from alembic import op

from walletsync_server.storage.sql.schema import NAME

revision = "0004"
down_revision = "0003"
beside_older = False


def upgrade() -> None:
    op.create_table(
        "allowed_addresses",
        sa.Column("email", NAME, nullable=False),
        sa.Column("allowed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("email", name="pk_allowed_addresses"),
    )
