"""Views with parts of other views pasted in: known things before a background they were never seen with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def class_mix(
    images: Tensor, labels: Tensor, share: float, rng: np.random.Generator, void: int
) -> tuple[Tensor, Tensor]:
    """Paste half of the classes of one view onto another (ClassMix, Olsson et al. 2021, section 3.1).

    Args:
        images: ``(N, 3, H, W)``.
        labels: Ids ``(N, H, W)``.
        share: Of the views onto which something is pasted, 0 to 1.
        rng: Source of randomness.
        void: Id of pixels outside the image, which are never pasted.

    Returns:
        Images and labels of the same shapes; the given ones are left as they are.

    """
    if not share:
        return images, labels
    count = len(labels)
    pasted = torch.zeros_like(labels, dtype=torch.bool)
    # From the next view of the batch: batches are shuffled.
    other_images, other_labels = images.roll(-1, 0), labels.roll(-1, 0)
    for view in range(count):
        present = [i for i in torch.unique(other_labels[view]).cpu().tolist() if i != void]
        if count > 1 and rng.random() < share and present:
            chosen = rng.choice(present, len(present) // 2 or 1, replace=False)
            wanted = torch.from_numpy(chosen).to(labels)
            pasted[view] = torch.isin(other_labels[view], wanted)
    mixed = torch.where(pasted[:, None], other_images, images)
    return mixed, torch.where(pasted, other_labels, labels)
