"""What the status says of rates."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('diagnostic_msgs', reason='needs ROS 2: make test, or source a ROS 2 distribution')

from diagnostic_msgs.msg import DiagnosticStatus

from vss_ros.engine.frames import AnsweredBy, Decision, FrameResult, Reason
from vss_ros.engine.options import NodeConfig
from vss_ros.images.image_error import ImageError
from vss_ros.node.diagnostics import Statistics


def answer(statistics: Statistics, index: int) -> None:
    statistics.received()
    decision = Decision(index, is_key_frame=True, reason=Reason.FIRST)
    labels = np.zeros((4, 4), np.uint8)
    result = FrameResult(index, 0, (4, 4), labels, None, decision, AnsweredBy.FULL, True)
    statistics.answered(result, 0.01, 0.03)


def told(
    received: int, answered: int, trouble: ImageError | None = None, *, lost: int = 0, **limits: Any
) -> DiagnosticStatus:
    statistics = Statistics()
    statistics.activated(NodeConfig(**limits))
    for index in range(received):
        if index < answered:
            answer(statistics, index)
        else:
            statistics.received()
    if lost:
        statistics.noted('lost', lost, '')
    if trouble is not None:
        statistics.rejected(trouble)
    return statistics.to_message('node', 'cpu', {}, '/image_raw: /camera publishes')


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


@pytest.mark.parametrize(('answered', 'lost', 'fine'), [(15, 0, True), (13, 0, False), (29, 45, False)])
def test_the_status_is_never_ok_where_under_half_is_answered(answered: int, lost: int, fine: bool) -> None:
    status = told(30, answered, lost=lost)
    assert (status.level == DiagnosticStatus.OK) is fine
    if not fine:
        assert f'{answered} of {30 + lost} images answered' in status.message
        assert '/image_raw: /camera publishes' in status.message


@pytest.mark.parametrize(
    ('limits', 'level'),
    [
        ({'max_latency': 0.02, 'max_age': 0.04}, DiagnosticStatus.OK),
        ({'max_latency': 0.008}, DiagnosticStatus.WARN),
        ({'max_latency': 0.004}, DiagnosticStatus.ERROR),
        ({'max_age': 0.02, 'max_latency': 0.004}, DiagnosticStatus.ERROR),
        ({'max_age': 0.014}, DiagnosticStatus.ERROR),
        ({'max_age': 0.02}, DiagnosticStatus.WARN),
    ],
)
def test_limits_raise_the_level_and_are_named(limits: dict[str, Any], level: bytes) -> None:
    status = told(30, 30, **limits)
    assert status.level == level
    assert all(
        (f'{name} is {limit:g} s' in status.message) is (level != b'\0') for name, limit in limits.items()
    )


@pytest.mark.parametrize(
    ('rate', 'level'),
    [(5.0, DiagnosticStatus.OK), (7.0, DiagnosticStatus.WARN), (13.0, DiagnosticStatus.ERROR)],
)
def test_too_few_answers_a_second(rate: float, level: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr('vss_ros.node.diagnostics.time', SimpleNamespace(monotonic=lambda: now[0]))
    statistics = Statistics()
    statistics.activated(NodeConfig(min_rate=rate))
    for index in range(30):
        now[0] = 1 + index / 10
        answer(statistics, index)
    now[0] = 5.0
    status = statistics.to_message('node', 'cpu', {}, '')
    assert status.level == level
    assert ('6.0 answers a second, min_rate is' in status.message) is (level != DiagnosticStatus.OK)
