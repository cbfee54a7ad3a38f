"""An index by which expired tokens are found without a look at all the others."""

from alembic import op

revision = "0006"
down_revision = "0005"
beside_older = False


def upgrade() -> None:
    op.create_index("ix_tokens_expires_at", "tokens", ["expires_at"])
