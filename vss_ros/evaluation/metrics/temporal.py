"""How steadily masks follow the picture: the last mask, moved along, against the present one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from numpy.typing import NDArray

UNKNOWN = 255
"""Label of pixels whose place in the frame before is not known."""
SMALLEST = 16
"""Pixels that the flow search needs each way."""


class TemporalConsistency:
    """Agreement of each mask with the one before, warped by the pictures' motion (Liu et al. 2020, TC).

    "Efficient Semantic Video Segmentation with Per-Frame Inference": the mean IoU of the warped previous
    prediction and the present one over all pairs of consecutive frames. No truth is looked at: masks that are
    steadily wrong score 1, so that the figure says something only beside mIoU; reports never show it alone.

    The paper leaves flow and occlusions to FlowNet2. Decisions: flow is OpenCV's dense inverse search
    (fast preset, the engine's own), computed here from the pictures alone, whatever motion the segmenter
    used; a pixel counts where the flow there and the flow back cancel (Sundaram et al. 2010, Eq. 5) and lead
    inside the picture; labels are taken from the nearest pixel. The previous mask stands in the place of the
    truth; its pixels without a class count nowhere.

    Feed one stream with ``add`` in order and call ``new_stream`` before each further recording.
    """

    def __init__(self, classes: int, void_id: int) -> None:
        """Start empty.

        Args:
            classes: Number of classes C.
            void_id: Label of pixels without a class.

        Raises:
            VssError: The void id is a class id.
        """
        self.confusion = ConfusionMatrix(classes, void_id)
        """Warped previous class (row) and present class (column) over all pairs."""
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.new_stream()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return a score that goes on, with a new stream, from what ``to_dict`` gave."""
        confusion = ConfusionMatrix.from_counts(values['counts'], values['void_id'])
        score = cls(confusion.classes, confusion.void_id)
        score.confusion = confusion
        return score

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON from which the score can go on."""
        return {'void_id': self.confusion.void_id, 'counts': self.confusion.counts.tolist()}

    def new_stream(self) -> None:
        """Forget the last frame; the scores stay."""
        self._last: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def add(self, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """Count the pair of the last frame and this one; the first frame of a stream only starts it.

        Args:
            image: RGB, ``(H, W, 3)``, at least ``SMALLEST`` pixels each way.
            mask: Its class ids, ``(H, W)``.

        Raises:
            VssError: The image is too small, or the shapes don't fit each other or those of the last frame.
        """
        if image.shape != (*mask.shape, 3) or min(mask.shape) < SMALLEST:
            raise VssError(
                f'expected an RGB image of at least {SMALLEST} pixels each way and a mask of its size, '
                f'got {image.shape} and {mask.shape}'
            )
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        if self._last is not None:
            last_grey, last_mask = self._last
            if last_grey.shape != grey.shape:
                raise VssError(
                    f'expected frames of {last_grey.shape}, got {grey.shape}; '
                    f'call new_stream() where the size changes'
                )
            warped = warp_labels(last_mask, *self._motion(grey, last_grey))
            # Whatever had no class has none to keep.
            warped[warped >= self.confusion.classes] = self.confusion.void_id
            self.confusion.add(warped, mask)
        self._last = (grey, mask.copy())

    def _motion(
        self, now: NDArray[np.uint8], before: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the flow from now to before, ``(H, W, 2)``, and where it can be trusted, ``(H, W)``."""
        back = np.asarray(self._search.calc(now, before, None), np.float32)  # type: ignore[call-overload]
        forth = np.asarray(self._search.calc(before, now, None), np.float32)  # type: ignore[call-overload]
        return back, _cancel(back, forth)

    def merge(self, other: TemporalConsistency) -> None:
        """Add the scores of other streams.

        Raises:
            VssError: The classes differ.
        """
        self.confusion.merge(other.confusion)

    @property
    def miou(self) -> float:
        """The temporal consistency of the paper: mean IoU, 0..1; NaN while no pair was added."""
        return self.confusion.miou

    @property
    def agreement(self) -> float:
        """Share of the counted pixels whose label stayed, 0..1; NaN while no pair was added."""
        return self.confusion.pixel_accuracy


def warp_labels(
    labels: NDArray[np.uint8], flow: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Return the earlier frame's labels where their content lies now.

    Args:
        labels: Earlier class ids, ``(H, W)``.
        flow: Where each pixel's content was, relative to it: ``(H, W, 2)`` float32, x then y in pixels.
        known: Where the flow is to be trusted, ``(H, W)``.

    Returns:
        ``(H, W)``, ``UNKNOWN`` where the flow is not known or leads outside.
    """
    x, y = (np.rint(position) for position in _targets(flow))
    warped = cv2.remap(
        labels,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(UNKNOWN,),
    )
    return np.where(known, warped, UNKNOWN).astype(np.uint8)


def _targets(flow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the columns and rows that a flow points at."""
    height, width = flow.shape[:2]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return flow[..., 0] + columns, flow[..., 1] + rows


def _cancel(back: NDArray[np.float32], forth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where going back and forth ends near where it began: nothing was hidden there."""
    returned = cv2.remap(forth, *_targets(back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there, home = _planes(back), _planes(np.asarray(returned, np.float32))
    error = sum((a + b) ** 2 for a, b in zip(there, home, strict=True))
    lengths = sum(plane**2 for plane in (*there, *home))
    return np.asarray(error < 0.01 * lengths + 0.5)


def _planes(flow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y apart: NumPy is several times faster on them than along a last axis of two."""
    return np.ascontiguousarray(flow[..., 0]), np.ascontiguousarray(flow[..., 1])
