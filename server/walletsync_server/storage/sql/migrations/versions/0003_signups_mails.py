"""Sign-ups that wait for their address to be confirmed, and the mails about them."""

import sqlalchemy as sa
from alembic import op

from walletsync_server.storage.sql.schema import NAME

revision = "0003"
down_revision = "0002"
beside_older = False


def upgrade() -> None:
    op.create_table(
        "signups",
        sa.Column("email", NAME, nullable=False),
        sa.Column("signup_id", sa.LargeBinary(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("salt_seed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("email", "signup_id", name="pk_signups"),
    )
    op.create_index("ix_signups_expires_at", "signups", ["expires_at"])
    op.create_table(
        "mails",
        sa.Column("email", NAME, nullable=False),
        sa.Column("mail_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signup_id", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("email", "mail_id", name="pk_mails"),
    )
    op.create_index("ix_mails_created_at", "mails", ["created_at"])
    op.create_index("ix_mails_token_hash", "mails", ["token_hash"])
    op.create_index("ix_mails_sent_at_due_at", "mails", ["sent_at", "due_at"])
