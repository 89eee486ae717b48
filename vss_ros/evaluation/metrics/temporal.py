"""How steadily masks follow the picture: the last mask, moved along, against the present one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.base import METRICS, Column, Metric, Naming
from vss_ros.evaluation.rows import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vss_ros.evaluation.metrics.base import ScoredFrame

UNKNOWN = 255
"""Label of pixels whose place in the frame before is not known."""
SMALLEST = 16
"""Pixels that the flow search needs each way."""


@METRICS.register('temporal_consistency', paper='Liu et al. 2020')
class TemporalConsistency(Metric):
    """Agreement of each mask with the one before, warped by the pictures' motion (Liu et al. 2020, TC).

    "Efficient Semantic Video Segmentation with Per-Frame Inference": the mean IoU of the warped previous
    prediction and the present one over all pairs of consecutive frames. No truth is looked at: masks that are
    steadily wrong score 1, so that the figure says something only beside mIoU; reports never show it alone.

    The paper leaves flow and occlusions to FlowNet2. Decisions: flow is OpenCV's dense inverse search
    (fast preset, the engine's own), computed here from the pictures alone, not the motion that the segmenter
    used; a pixel counts where the flow there and the flow back cancel (Sundaram et al. 2010, Eq. 5) and lead
    inside the picture; labels are taken from the nearest pixel. The previous mask stands in the place of the
    truth; its pixels without a class count nowhere.

    Feed one stream with ``add`` in order and call ``new_stream`` before each further recording.
    """

    columns = (
        Column(
            'temporal_consistency', ('temporal_consistency',), 'steadiness',
            'mIoU of each mask with the one before, warped to it where optical flow is consistent. '
            'Worth nothing by itself: an empty mask is perfectly steady. Read it beside {score}.',
            beside_score=True, short=('steadi-', 'ness %'),
        ),
    )  # fmt: skip
    needs_truth = False
    nothing: ClassVar[Mapping[str, Any]] = {'temporal_consistency': None}

    def __init__(self, classes: int, void_id: int) -> None:
        super().__init__(classes, void_id)
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.new_stream()

    def new_stream(self) -> None:
        """Forget the last frame; the scores stay."""
        self._last: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame at the size of its labels, at which flow is as good and far cheaper."""
        if frame.row.starts_stream:
            self.new_stream()
        image, labels = frame.image, frame.labels
        if min(labels.shape) < SMALLEST:
            return
        if image.shape[:2] != labels.shape:
            image = np.asarray(cv2.resize(image, labels.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        self.add(image, labels)

    def values(self, naming: Naming) -> dict[str, Any]:  # noqa: ARG002
        """Return the mean IoU of masks with those before."""
        return {'temporal_consistency': rounded(self.miou)}

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
            back = np.asarray(self._search.calc(grey, last_grey, None), np.float32)  # type: ignore[call-overload]
            forth = np.asarray(self._search.calc(last_grey, grey, None), np.float32)  # type: ignore[call-overload]
            warped = warp_labels(last_mask, back, _cancel(back, forth))
            # Pixels without a class before count nowhere.
            warped[warped >= self.confusion.classes] = self.confusion.void_id
            self.confusion.add(warped, mask)
        self._last = (grey, mask.copy())

    @property
    def miou(self) -> float:
        """The temporal consistency of the paper: mean IoU, 0..1; NaN while no pair was added."""
        return self.confusion.miou


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
    x, y = map(np.rint, _targets(flow))
    warped = cv2.remap(
        labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(UNKNOWN,)
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
    # x and y apart: NumPy is several times faster on them than along a last axis of two.
    there, home = cv2.split(back), cv2.split(returned)
    error = sum((a + b) ** 2 for a, b in zip(there, home, strict=True))
    lengths = sum(plane**2 for plane in (*there, *home))
    return np.asarray(error < 0.01 * lengths + 0.5)
