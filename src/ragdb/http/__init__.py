"""The REST service: an edge that reads requests, calls stored functions and writes responses.

The heavy imports of the package happen below here only.
"""
