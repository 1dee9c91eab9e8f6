"""Plumbing without business words: every service stands on it, and it knows none of them."""
