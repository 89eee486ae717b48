"""What a video decoder knows of motion, read from PyAV: TWNet's motion vectors, I-frames (section 4.4.1).

Which codecs tell their vectors (FFmpeg 8): MPEG-1, MPEG-2, MPEG-4 part 2, H.263 and H.264. HEVC, VP9 and AV1
tell their I-frames only, so motion has to be estimated from the pictures.

How exact the vectors are: an encoder chooses them to save bits, so where the picture has no texture they need
not be the true motion. Beyond that

* MPEG-4 part 2 (also MPEG-1 and -2) without B-frames is exact: there is one reference, the frame before.
* P-frames of streams with B-frames refer to the last frame that is no B-frame. Their vectors are divided by
  the frames in between, as if the motion were steady.
* H.264 with several reference frames is approximate: FFmpeg does not say which one a block refers to, and the
  nearest is assumed. On two dashcam clips x264's three references bring 1 % of the cells off (by more than
  1.5 pixels, against DIS); on drawn, noiseless scenes it can be most blocks. ``refs=1`` makes it exact.
* B-frames get no vectors: those to the future lead nowhere, FFmpeg gives zeros for MPEG-4's direct blocks,
  and in H.264 a B-frame may itself be a reference at a distance that is not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from av.video.frame import PictureType

from vss_ros.engine.frames import CodecFrame

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

EXPORT_VECTORS: Final = {'flags2': '+export_mvs'}
"""Decoder options that make FFmpeg hand vectors out: 0.3 to 0.6 ms a frame of 720x1280."""


class CodecReader:
    """Reads what the codec says of the frames of one stream, in display order.

    The decoder must not run frame threads (``thread_type`` SLICE or NONE): with them FFmpeg 8 hands vectors
    of H.264 out while another thread still writes them.
    """

    def __init__(self) -> None:
        """Start without a reference frame."""
        self._distance: int | None = None  # frames since the last one that is no B-frame

    def skip(self) -> None:
        """Note that a frame was lost or left out: vectors do not lead to the frame before any more."""
        self._distance = None

    def read(self, picture: av.VideoFrame) -> CodecFrame:
        """Return what the codec says of the next frame."""
        kind = PictureType(picture.pict_type)
        distance = None if self._distance is None else self._distance + 1
        self._distance = distance if kind is PictureType.B else 0
        # Where the decoder mended a picture it invented vectors.
        if kind is not PictureType.P or picture.is_corrupt or distance is None:
            return CodecFrame(kind is PictureType.I)
        return CodecFrame(is_key=False, vectors=_vectors(picture, distance))


def _vectors(picture: av.VideoFrame, distance: int) -> NDArray[np.float32] | None:
    """Return the rows of :class:`CodecFrame`, None where the decoder told nothing."""
    side_data = picture.side_data.get('MOTION_VECTORS')
    if side_data is None:
        return None
    exported = side_data.to_ndarray()
    exported = exported[exported['source'] < 0]
    # dst is the middle of the block.
    width, height = exported['w'].astype(np.float32), exported['h'].astype(np.float32)
    scale = exported['motion_scale'].astype(np.float32) * distance
    return np.stack(
        (
            exported['dst_x'] - width / 2,
            exported['dst_y'] - height / 2,
            width,
            height,
            exported['motion_x'] / scale,
            exported['motion_y'] / scale,
        ),
        axis=1,
        dtype=np.float32,
    )
