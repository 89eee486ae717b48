"""Key and current frames some frames apart, for training propagation and scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.datasets.ego_motion import FRAME_SECONDS
from vss_ros.datasets.labelled import Clip, read_together
from vss_ros.datasets.synthetic_motion import Cutout, Variety, cut_objects, photographed, random_motion
from vss_ros.engine.labels import resize_labels
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.datasets.labelled import LabelledImages, LabelledVideo
    from vss_ros.images.classes import ClassTable


MOVABLE = {
    'bicycle', 'bicyclist', 'bus', 'car', 'child', 'human', 'motorcycle', 'motorcyclescooter', 'moving car',
    'pedestrian', 'person', 'rider', 'suvpickuptruck', 'truck', 'truck_bus',
}  # fmt: skip
"""Names of classes that move on their own, in any of the shipped tables, in lower case."""
ZOOM = (0.9, 1.4)
"""Bounds of the zoom of triples: about 1, as things that a robot sees are as large as its network learned."""
MIXED = 0.5
"""Pixels between the motions of neighbours from which on they are motions of different things."""


@dataclass(frozen=True, slots=True)
class Triple:
    """Three frames of one drive, oldest first, the last one labelled."""

    key: NDArray[np.uint8]
    """RGB ``(H, W, 3)``."""
    between: NDArray[np.uint8]
    """A frame between key and current, or the key frame itself."""
    current: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    """Ids of the current frame ``(H, W)``."""
    to_key: NDArray[np.float32] | None = None
    """Exact flow from the current to the key frame where it is known, ``(H, W, 2)`` float32, x and y in
    pixels: what is at ``(i, j)`` was at ``(i + y, j + x)``. NaN where it was hidden or outside."""
    to_between: NDArray[np.float32] | None = None
    """The same to the frame between."""


class StillPairs:
    """Triples whose earlier frames are rendered from a labelled still.

    The table of classes says what is sky and what moves. ``with_flow`` adds the exact flow, which takes a
    while to compute.
    """

    def __init__(
        self,
        stills: LabelledImages,
        classes: ClassTable,
        variety: Variety | None = None,
        *,
        with_flow: bool = False,
    ) -> None:
        self._stills, self._variety, self._with_flow = stills, variety or Variety(), with_flow
        names = [name.casefold() for name in classes.names]
        self._sky = names.index('sky') if 'sky' in names else None
        movable = tuple(i for i, name in enumerate(names) if name in MOVABLE)
        self._cutouts: list[Cutout] = cut_objects(stills, movable)

    def __len__(self) -> int:
        return len(self._stills)

    def draw(
        self, index: int, distances: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator
    ) -> Triple:
        """Return a triple ending in still ``index``, flipped and cropped at random."""
        distance = int(rng.integers(distances[0], distances[1] + 1))
        between = draw_between(distance, rng)
        image, labels = self._stills.images[index], self._stills.labels[index]
        scene = random_motion(image, labels, self._cutouts, self._variety, rng, self._sky)
        key, middle, current = (scene.at(frames * FRAME_SECONDS) for frames in (distance, between, 0))
        views = photographed(scene, [key, middle, current], self._variety, rng)
        flows = (scene.flow(key), scene.flow(middle)) if self._with_flow else (None, None)
        return cropped(Triple(views[0], views[1], views[2], scene.labels(current), *flows), crop, rng)

    def roll_out(self, index: int, frames: int, rng: np.random.Generator) -> Clip:
        """Return so many frames that end in still ``index``, whole; only the last is labelled."""
        image, labels = self._stills.images[index], self._stills.labels[index]
        if labels.shape != image.shape[:2]:  # as they are to be scored
            labels = resize_labels(labels, (image.shape[0], image.shape[1]))
        scene = random_motion(image, labels, self._cutouts, self._variety, rng, self._sky)
        moments = [scene.at(before * FRAME_SECONDS) for before in range(frames - 1, -1, -1)]
        views = photographed(scene, moments, self._variety, rng)
        return Clip(views, [frames - 1], [scene.labels(moments[-1])])


def draw_between(distance: int, rng: np.random.Generator) -> int:
    """Return how far the middle frame is from the current one: rather near, as the last hop of many is."""
    return int(min(distance, *rng.integers(1, max(distance, 2), 2)))


def cropped(triple: Triple, crop: tuple[int, int], rng: np.random.Generator) -> Triple:
    """Return a triple at ``crop`` height and width: all frames and flows scaled, mirrored and cut alike."""
    height, width = triple.labels.shape
    scale = max(float(np.exp(rng.uniform(*np.log(ZOOM)))), crop[0] / height, crop[1] / width)
    size = (max(round(width * scale), crop[1]), max(round(height * scale), crop[0]))
    top, left = (int(rng.integers(0, have - want + 1)) for have, want in zip(size[::-1], crop, strict=True))
    mirrored = bool(rng.random() < 0.5)
    region = (slice(top, top + crop[0]), slice(left, left + crop[1]))

    def view(image: NDArray[np.uint8], mode: int) -> NDArray[np.uint8]:
        scaled = cv2.resize(image, size, interpolation=mode)[region]
        return np.ascontiguousarray(scaled[:, ::-1] if mirrored else scaled, np.uint8)

    key, between, current = (view(i, cv2.INTER_LINEAR) for i in (triple.key, triple.between, triple.current))
    flows = [_cropped_flow(f, size, region, mirrored=mirrored) for f in (triple.to_key, triple.to_between)]
    return Triple(key, between, current, view(triple.labels, cv2.INTER_NEAREST), *flows)


def _cropped_flow(
    flow: NDArray[np.float32] | None, size: tuple[int, int], region: tuple[slice, slice], *, mirrored: bool
) -> NDArray[np.float32] | None:
    """Return the flow between two views that are scaled to ``size`` (width, height), cropped and mirrored."""
    if flow is None:
        return None
    smooth = cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR)
    # Where two motions meet, their mean is neither's.
    smooth[np.abs(smooth - cv2.resize(flow, size, interpolation=cv2.INTER_NEAREST)).max(-1) > MIXED] = np.nan
    moved = smooth[region] * np.divide(size, flow.shape[1::-1])
    if mirrored:
        moved = moved[:, ::-1] * (-1, 1)
    height, width = moved.shape[:2]
    places = moved + np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    inside = ((places >= 0) & (places <= (width - 1, height - 1))).all(-1, keepdims=True)
    return np.where(inside, moved, np.nan).astype(np.float32)


class VideoPairs:
    """Triples that end in a labelled frame of a video; what lies on disk is read when it is drawn."""

    def __init__(self, video: LabelledVideo) -> None:
        self._video = video
        self._reach = np.asarray(video.earlier)

    @property
    def furthest(self) -> int:
        """Most frames there are before a labelled one."""
        return int(self._reach.max())

    def __len__(self) -> int:
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
