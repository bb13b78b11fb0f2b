"""ragdb: a retrieval-augmented-generation backend that is a PostgreSQL schema."""

__version__ = "0.1.0"
