"""Storage in a PostgreSQL database: how it is reached, read and written. Only this room knows PostgreSQL."""
