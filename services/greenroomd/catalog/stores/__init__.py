"""Where the catalog keeps its rows: PostgreSQL."""
