"""Results as Cityscapes' benchmark takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.evaluation.export.base import Exporter, ids_in, translate
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable

SIZE = (1024, 2048)
"""Height and width of Cityscapes' images, and so of what its evaluation accepts."""
UNLABELLED = 0
"""Label id of what has no class; as a prediction always wrong."""
FRAME = re.compile(r'(?:.*/)?(?P<core>[^_/]+_\d+_\d+)(?:_[^/]*)?')


class CityscapesExporter(Exporter):
    """Grey PNGs of label ids (not train ids), ``CITY_SEQUENCE_FRAME_pred_labelIds.png``, all in one folder.

    As ``evalPixelLevelSemanticLabeling`` of cityscapesScripts wants them: point ``CITYSCAPES_RESULTS`` at the
    folder and run ``csEvalPixelLevelSemanticLabeling``; a zip of it can be uploaded to the benchmark.
    """

    def __init__(self, folder: Path, table: ClassTable, size: tuple[int, int] | None = SIZE) -> None:
        """Look up the ids.

        Args:
            folder: Where to write.
            table: ``cityscapes19``, or other classes merged from ``cityscapes34``.
            size: Height and width of the files, to which masks of another size are scaled by nearest
                neighbour; None: as they come.

        Raises:
            VssError: The classes are not Cityscapes'.
        """
        self._ids = ids_in(load_classes('cityscapes34'), table)
        self._size = size
        super().__init__(folder, table)

    def file_name(self, frame_name: str) -> str:
        """Return the name for ``CITY_SEQUENCE_FRAME``, whatever comes before (folders) or after it.

        Raises:
            VssError: The name has no such part.
        """
        match = FRAME.fullmatch(frame_name)
        if match is None:
            raise VssError(
                f'expected a frame of Cityscapes, such as frankfurt_000000_000294_leftImg8bit, got '
                f'{frame_name!r}; evaluate a folder of such images, or export in another format'
            )
        return f'{match["core"]}_pred_labelIds.png'

    def pixels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return label ids, 0 where there is no class."""
        ids = translate(mask, self._ids, UNLABELLED)
        if self._size is None or self._size == ids.shape:
            return ids
        height, width = self._size
        return np.asarray(cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
