"""Images without fine detail, and warping them, for tests of synthetic motion."""

from __future__ import annotations

import cv2
import numpy as np


def smooth(seed: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """Return an RGB image whose detail is so coarse that interpolating it twice loses little."""
    noise = np.random.default_rng(seed).uniform(0, 255, (*size, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 8)
    return cv2.normalize(soft, soft, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def warped(view: np.ndarray, flow: np.ndarray, mode: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Return the earlier view moved along a flow ``(H, W, 2)``; anything where it is NaN."""
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    dx, dy = np.nan_to_num(flow).transpose(2, 0, 1)
    return np.asarray(cv2.remap(view, x + dx, y + dy, mode, borderMode=cv2.BORDER_REPLICATE))
