"""Reading from databases that belong to somebody else: PostgreSQL, MySQL, MariaDB and Oracle.

Every connection is made read only, through the guard of the network, and for one page of rows at a
time; nothing is held open there while documents are stored here.
"""
