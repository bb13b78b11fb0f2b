"""The ragdb command line."""
