"""Embedding models besides the table in the database: asked over the network, or on this machine.

Importing this package loads no model and no library of one.
"""
