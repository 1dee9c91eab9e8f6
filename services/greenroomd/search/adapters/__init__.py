"""Search's ways to the services that it indexes, over their public contracts."""
