"""Triples of real frames, where the ones before a labelled one are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vss_ros.data.labelled import read_together
from vss_ros.data.pairs import Triple, cropped, draw_between
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from vss_ros.data.labelled import LabelledVideo


class VideoPairs:
    """Triples that end in a labelled frame of a video, Cityscapes' snippets for one.

    Args:
        video: Frames and labels; what lies on disk is read when it is drawn.

    """

    def __init__(self, video: LabelledVideo) -> None:
        """Remember how far back each labelled frame reaches."""
        self._video = video
        self._reach = np.asarray(video.earlier)

    @property
    def furthest(self) -> int:
        """Most frames there are before a labelled one."""
        return int(self._reach.max())

    def __len__(self) -> int:
        """Return the number of labelled frames."""
        return len(self._video)

    def draw(
        self, index: int, distances: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator
    ) -> Triple:
        """Return a triple that ends in labelled frame ``index``, or in another with frames enough before it.

        Raises:
            VssError: No labelled frame has as many before it.
        """
        usable = np.flatnonzero(self._reach >= distances[0])
        if not usable.size:
            raise VssError(
                f'expected {distances[0]} frames before a labelled one, got {self.furthest} at most; '
                'state smaller distances, or another layout'
            )
        chosen = int(usable[index % len(usable)])
        distance = int(rng.integers(distances[0], min(distances[1], self._reach[chosen]) + 1))
        between = draw_between(distance, rng)
        place, video = self._video.places[chosen], self._video
        frames = [(video.frames, place - before) for before in (distance, between, 0)]
        key, middle, current, labels = read_together([*frames, (video.labels, chosen)])
        return cropped(Triple(key, middle, current, labels), crop, rng)
