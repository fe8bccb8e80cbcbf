"""Segments: typical, complaining and seed users, lifecycle and value, each label with its reasons."""
