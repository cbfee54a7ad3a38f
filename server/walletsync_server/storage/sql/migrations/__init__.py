"""Alembic's folder. `versions/` holds one file per change of the schema; none is edited once released."""
