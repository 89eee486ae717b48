"""What a recorded run holds for each image, also where a part of it is missing or damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from received_parts import CAMERA, FIRST, NODE, Came, decision_message

from vss_ros.live import received as module
from vss_ros.live.received import Received, ReceivedIndex
from vss_ros.recordings.bags import COMPRESSED_IMAGE, IMAGE, KEY_FRAME_DECISION, BagWriter
from vss_ros.recordings.messages import compressed_image, raw_image

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TRUTH = '/camera/mask'


def run(path: Path, *, damaged: int = -1, unanswered: int = -1) -> Received:
    """Write a run of six images 10 ns apart that records everything."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    with BagWriter(path) as bag:
        bag.add_topic(CAMERA, COMPRESSED_IMAGE)
        bag.add_topic(TRUTH, IMAGE)
        bag.add_topic(f'{NODE}/mask', IMAGE)
        bag.add_topic(f'{NODE}/key_frame', KEY_FRAME_DECISION)
        for i in range(6):
            stamp = 1000 + 10 * i
            message = compressed_image(pixels + i, stamp, codec='png')
            if i == damaged:
                message.data = message.data[:20]
            bag.write(CAMERA, stamp, message)
            bag.write(TRUTH, stamp, raw_image(pixels[..., 0] + 1, stamp))
            if i != unanswered:
                bag.write(f'{NODE}/key_frame', stamp + 1, decision_message(Came(stamp), FIRST))
                bag.write(f'{NODE}/mask', stamp + 2, raw_image(pixels[..., 0] + i, stamp))
    return Received(path, CAMERA, NODE, 6, {})


def test_what_belongs_to_an_image_comes_together(tmp_path: Path) -> None:
    index = ReceivedIndex()
    answers = list(run(tmp_path / 'bag').answers(index, TRUTH))
    assert [answer.stamp_ns for answer in answers] == list(range(1000, 1060, 10))
    for i, answer in enumerate(answers):
        assert answer.image is not None
        assert answer.mask is not None
        assert answer.truth is not None
        assert answer.decision is not None
        assert (answer.image[0, 0, 0], answer.mask[0, 0], answer.truth[0, 0]) == (i, i, 1)
        assert answer.decision.stamp_ns == answer.stamp_ns
    assert index.masks == dict.fromkeys(range(1000, 1060, 10), 1)
    assert [len(index.images[stamp]) for stamp in index.masks] == [1] * 6
    assert list(index.decisions) == list(index.masks)


def test_images_without_an_answer_do_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, 'PATIENCE', 2)
    index = ReceivedIndex()
    seen = []
    for answer in run(tmp_path / 'bag', damaged=4, unanswered=1).answers(index, TRUTH):
        seen.append((answer.stamp_ns, answer.image is not None, answer.mask is not None))
        if answer.stamp_ns == 1010:
            assert len(index.images) == 4  # two later stamps wait, and the third gives the first one up
    assert [stamp for stamp, *_ in seen] == list(range(1000, 1060, 10))
    assert [stamp for stamp, image, _ in seen if not image] == [1040]
    assert [stamp for stamp, _, mask in seen if not mask] == [1010]
    assert index.masks.total() == 5
    assert sum(map(len, index.images.values())) == 6
