"""A worker process of the pool: takes jobs from a connection until it closes. Not for people to run."""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from vss_ros.errors import VssError
from vss_ros.evaluation.store import evaluate_stored

if TYPE_CHECKING:
    from vss_ros.evaluation.pool import Job
    from vss_ros.evaluation.result import Evaluated

READY = True
"""First message: the worker has started."""
FRAME = None
"""A frame was computed; every other message is a result or, as a text, an error."""


def work(connection: Connection, store: str | None) -> None:
    """Run jobs.

    Args:
        connection: Gives a ``Job`` at a time; takes ``READY``, ``FRAME`` and results.
        store: Folder of the results; None for none.

    """
    with suppress(EOFError, OSError):  # the parent has gone, or wants no more
        connection.send(READY)
        while True:
            job: Job = connection.recv()
            try:
                result: Evaluated | str = evaluate_stored(
                    job.path, job.config, store, lambda: connection.send(FRAME)
                )
            except VssError as error:
                result = str(error)
            connection.send(result)


if __name__ == '__main__':
    work(Connection(int(sys.argv[1])), sys.argv[2] or None)
