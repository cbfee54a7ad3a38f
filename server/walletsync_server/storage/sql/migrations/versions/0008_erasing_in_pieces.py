"""Which versions of wallets are still to be removed of those that nobody may see any more."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
beside_older = False


def upgrade() -> None:
    op.add_column("accounts", sa.Column("erase_before", sa.BigInteger(), nullable=False, server_default="0"))
    is_being_erased = sa.text("erase_before > 0")
    op.create_index(
        "ix_accounts_erase_before",
        "accounts",
        ["erase_before"],
        sqlite_where=is_being_erased,
        postgresql_where=is_being_erased,
    )
