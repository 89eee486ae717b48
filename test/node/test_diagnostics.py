"""What the status says of rates."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('diagnostic_msgs', reason='needs ROS 2: make test, or source a ROS 2 distribution')

from diagnostic_msgs.msg import DiagnosticStatus

from vss_ros.engine.frames import AnsweredBy, Decision, FrameResult, Reason
from vss_ros.images.image_decoding import ImageError
from vss_ros.node.diagnostics import Statistics


def told(received: int, answered: int, trouble: ImageError | None = None) -> DiagnosticStatus:
    statistics = Statistics()
    statistics.activated()
    labels = np.zeros((4, 4), np.uint8)
    for index in range(received):
        statistics.received()
        if index < answered:
            decision = Decision(index, is_key_frame=True, reason=Reason.FIRST)
            result = FrameResult(index, 0, (4, 4), labels, None, decision, AnsweredBy.FULL, True)
            statistics.answered(result, 0.01)
    if trouble is not None:
        statistics.rejected(trouble)
    return statistics.to_message('node', 'cpu', {}, active=True)


def test_a_camera_that_outruns_the_node_is_told_and_is_no_fault() -> None:
    slow = told(30, 20)
    values = {pair.key: float(pair.value) for pair in slow.values if pair.key.endswith('_hz')}
    assert values['rate_hz'] == pytest.approx(values['camera_hz'] * 2 / 3, rel=1e-3)
    assert slow.level == DiagnosticStatus.OK
    assert slow.message.startswith('segmenting ')
    assert slow.message.endswith('images a second; README says what is faster')
    assert told(30, 28).message == 'segmenting'


def test_images_that_are_refused_are_no_sign_of_a_slow_machine() -> None:
    refused = told(30, 0, ImageError('size', 'too small'))
    assert refused.level == DiagnosticStatus.WARN
    assert 'too small' in refused.message
    assert 'faster' not in refused.message
