"""One network for the streams of several cameras: weights, graphs and the slow track's thread once."""

from __future__ import annotations

import threading
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from vss_ros.engine.pipeline import StreamSegmenter
from vss_ros.engine.tracks.fast_slow import FastSlow, be_nice
from vss_ros.engine.tracks.turns import Share, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.engine.build import Built
    from vss_ros.engine.options import SegmenterConfig


class SharedNetwork:
    """Makes the segmenters of streams, each with a state of its own, and has what they take turns at.

    Args:
        built: With the segmenter that has warmed up; it serves no stream itself.
        streams: Most streams whose images may be of different sizes.
    """

    def __init__(self, built: Built, streams: int) -> None:
        self._built = built
        self.turns = Turns()
        """At computing on the fast track."""
        self._shares: list[Share] = []
        self._lock = threading.Lock()
        self._sizes = {built.segmenter.network_size(built.card.input_size): None}
        built.runtime.sizes = streams + 1

    def segmenter(
        self, config: SegmenterConfig, on_slow_track_error: Callable[[BaseException], None]
    ) -> StreamSegmenter:
        """Return the segmenter of one more stream; only what is the stream's own is taken of its settings.

        Raises:
            VssError: Intervals that exclude each other.
        """
        built = self._built
        parts = built.segmenter.parts
        scheduler = copy(parts.scheduler)  # settings of its own, the same weights
        scheduler.adjust(
            threshold=config.threshold, min_interval=config.min_interval, interval=config.interval
        )
        return StreamSegmenter(
            replace(parts, scheduler=scheduler, track=parts.track.another(config.slow_duty)),
            built.segmenter.preprocess.another(),
            network=built.segmenter.network,
            confidence=built.segmenter.confidence,
            max_gap_ns=round(config.max_gap * 1e9),
            on_slow_track_error=on_slow_track_error,
        )

    def share(self, duty: float) -> Share:
        """Return what keeps one more stream to its share of the time; 0: an equal one."""
        return Share(duty, self._shares)

    def knows(self, camera: tuple[int, int]) -> bool:
        """Tell whether a camera's height and width need no compiling."""
        size = self._built.segmenter.network_size(camera)
        with self._lock:
            known = size in self._sizes
            if known:
                del self._sizes[size]
                self._sizes[size] = None  # the last is the one used last
        return known

    def prepare(self, camera: tuple[int, int]) -> None:
        """Compile for a camera's height and width, outside a turn and at low priority: it holds nobody."""
        size = self._built.segmenter.network_size(camera)
        thread = threading.Thread(target=self._compile, args=(size,), name='compile', daemon=True)
        thread.start()
        thread.join()
        with self._lock:
            self._sizes[size] = None
            if len(self._sizes) > self._built.runtime.sizes:
                del self._sizes[next(iter(self._sizes))]

    def _compile(self, size: tuple[int, int]) -> None:
        be_nice()
        built = self._built
        parts = built.segmenter.parts
        track = (
            FastSlow(built.segmenter.network.compute) if isinstance(parts.track, FastSlow) else parts.track
        )
        trial = StreamSegmenter(
            replace(parts, track=track), built.segmenter.preprocess.another(), network=built.segmenter.network
        )
        try:
            trial.warm_up(size)
        finally:
            trial.close()
