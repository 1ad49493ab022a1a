"""Doors to posts: each yields rows of one schema, and an account of every line it could not use."""
