"""Devices and networks that an account knows, which until now were forgotten with every restart."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
beside_older = False


def upgrade() -> None:
    op.create_table(
        "known_clients",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("came_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name="pk_known_clients"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="fk_known_clients_accounts"),
    )
    op.create_index("ix_known_clients_came_at", "known_clients", ["came_at"])
