"""Where the lifecycle keeps its rows: PostgreSQL."""
