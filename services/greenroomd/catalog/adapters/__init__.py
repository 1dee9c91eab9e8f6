"""The catalog's ways to its sibling services, over their public contracts."""
