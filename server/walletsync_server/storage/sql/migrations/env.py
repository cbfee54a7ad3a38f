"""What Alembic runs: the migrations beside this file, on the connection that `storage.sql.migrate` hands over."""

from alembic import context

from walletsync_server.storage.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
