"""The real node with a clock at each stage of an image's way; see node_cost.py.

Nothing of the node is replaced: what it calls is wrapped by a note of when the call began and ended. After
the node has ended, a row per answered image lies in the file that the parameter ``timings`` names, as JSON.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.live.ticker import Ticker
from vss_ros.node.main import main as run_node
from vss_ros.node.segmentation_node import SegmentationNode
from vss_ros.node.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vss_ros.node.intake import Received

PAGE_MB = os.sysconf('SC_PAGE_SIZE') / 1e6


def resident_mb() -> float:
    """Return the memory that this process holds, megabytes."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * PAGE_MB


class TimedStream(Stream):
    """Notes for each image when it came, and what each stage took."""

    def __init__(self, node: SegmentationNode, name: str = '') -> None:
        super().__init__(node, name)
        self.rows: list[dict[str, Any]] = []
        self._row: dict[str, Any] = {}
        self._came: dict[int, tuple[float, float]] = {}

    def configure(self, *given: Any, **named: Any) -> None:
        """Wrap what computes and publishes."""
        super().configure(*given, **named)
        self._time(self.segmenter, 'step', 'compute')
        self._time(self.outputs._mask, 'publish', 'publish')

    def activate(self) -> None:
        """Wrap what decodes."""
        super().activate()
        self._time(self._intake, 'frame', 'decode')

    def _time(self, owner: Any, method: str, stage: str) -> None:
        inner = getattr(owner, method)

        def timed(*given: Any, **named: Any) -> Any:
            start, cpu = time.perf_counter(), time.thread_time()
            result = inner(*given, **named)
            self._row[stage] = (start, time.perf_counter(), time.thread_time() - cpu)
            return result

        setattr(owner, method, timed)

    def _on_message(self, message: Any, info: Mapping[str, Any], missing: bool) -> None:
        taken = time.perf_counter()
        waited = (time.time_ns() - info['received_timestamp']) / 1e9
        self._came[id(message)] = (taken - waited, taken)
        super()._on_message(message, info, missing)

    def _segment(self, received: Received) -> None:
        self._row = {'begin': time.perf_counter()}
        message = received.messages[-1]
        super()._segment(received)
        if 'publish' not in self._row:
            return
        came, taken = self._came.pop(id(message), (received.at, received.at))
        self._came.clear()  # of images that were overwritten
        row = self._row
        row |= {'phase': message.header.frame_id, 'came': came, 'taken': taken, 'end': time.perf_counter()}
        row |= {'cpu': time.process_time(), 'resident_mb': resident_mb()}
        self.rows.append(row)


class TimedNode(SegmentationNode):
    """Writes down what its streams have noted."""

    stream_type = TimedStream

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._timings = Path(self.declare_parameter('timings', '').value)
        self._ticks = Path(self.declare_parameter('ticks', '').value)
        self._ticker = Ticker() if self._ticks.name else None

    def destroy_node(self) -> None:
        """Write the rows and end."""
        if self._ticker is not None:
            self._ticker.stop(self._ticks)
        rows = [row for stream in self._streams if isinstance(stream, TimedStream) for row in stream.rows]
        self._timings.write_text(json.dumps(rows))
        super().destroy_node()


if __name__ == '__main__':
    run_node(kind=TimedNode)
