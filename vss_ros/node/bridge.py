"""Encodings that are not ours, through cv_bridge where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.images.image_error import ImageError, check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bridged(message: Any) -> NDArray[np.uint8] | None:
    """Return the RGB pixels of a raw image in an encoding that ``decode_raw`` refuses.

    Returns:
        None where cv_bridge is not installed or makes no image of it.

    Raises:
        ImageError: The image's size cannot be, or cv_bridge cannot convert it either.
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        return None
    check_size(message.height, message.width)
    if len(message.data) != message.step * message.height:
        return None
    try:
        image = np.asarray(CvBridge().imgmsg_to_cv2(message, 'rgb8'), np.uint8)
    except (CvBridgeError, ValueError, TypeError) as error:
        raise ImageError('encoding', f'cv_bridge cannot convert {message.encoding!r}: {error}') from error
    # Where rows are padded by what is no whole pixel, it shears the image.
    return np.ascontiguousarray(image) if image.shape == (message.height, message.width, 3) else None
