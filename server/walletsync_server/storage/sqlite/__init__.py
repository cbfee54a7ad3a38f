"""Storage in one SQLite file: how it is opened, written, read, backed up and checked. Only this room knows SQLite."""
