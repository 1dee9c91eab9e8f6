"""The lifecycle's way to its sibling service, over its public contract."""
