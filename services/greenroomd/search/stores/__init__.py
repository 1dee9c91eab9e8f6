"""Where the index keeps its rows: PostgreSQL."""
