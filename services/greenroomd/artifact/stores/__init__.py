"""Where the artifact service keeps its rows: PostgreSQL."""
