"""Measures ragdb against what a user would pick instead: `python -m bench`."""
