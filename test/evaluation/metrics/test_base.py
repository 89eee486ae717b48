"""A metric is one file: what a user defines outside the package is counted, stored, added and reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluation_parts import FRAMES, clip, config, masks_of

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics import METRICS, Column, Metric, Naming, ScoredFrame, total
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag
from vss_ros.evaluation.replay.result import InputResult
from vss_ros.evaluation.report.figures import columns, text_of
from vss_ros.evaluation.sweep.outputs import Evaluation, read_evaluation, write_evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vss_ros.evaluation.replay.result import Evaluated

pytestmark = pytest.mark.usefixtures('one_thread')


class Sky(Metric):
    """Share of true pixels of class 0 that key frames find."""

    columns = (Column('sky', ('sky', 'found'), 'sky', 'Share of the sky found.', short=('sky', '%')),)

    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame."""
        if frame.truth is not None and frame.row.is_key_frame:
            sky = frame.truth == 0
            self.sums.update(pixels=int(sky.sum()), found=int((sky & (frame.mask == 0)).sum()))

    def values(self, naming: Naming) -> dict[str, Any]:
        """Return the share."""
        return {'sky': {'found': self.sums['found'] / self.sums['pixels'], 'name': naming.classes[0]}}


class Slowest(Metric):
    """Longest latency so far, seconds; one that a clock decides."""

    needs_latencies = True
    needs_truth = False

    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame."""
        self.sums['frames'] += 1

    def finish(self, latencies: Sequence[float]) -> None:
        """Take the latencies."""
        assert len(latencies) == self.sums['frames']
        self.sums['slow'] += sum(seconds > 0 for seconds in latencies)

    def values(self, naming: Naming) -> dict[str, Any]:
        """Return the number."""
        return {'slow': self.sums['slow']}


@pytest.fixture
def registered() -> Iterator[None]:
    """Register both as their decorator would, for one test."""
    METRICS.register('sky')(Sky)
    METRICS.register('slowest')(Slowest)
    yield
    for name in ('sky', 'slowest'):
        del METRICS._members[name]


@pytest.mark.usefixtures('registered')
def test_a_metric_from_outside_is_in_the_results_of_all_inputs(tmp_path: Path) -> None:
    paths = [clip(tmp_path / 'a'), clip(tmp_path / 'b', 5)]
    found = [stored(evaluate_bag(path, config())) for path in paths]
    evaluation = Evaluation.of([(config(), found)])
    write_evaluation(evaluation, tmp_path / 'out')
    read = read_evaluation(tmp_path / 'out')
    assert read.timings[0]['slow'] == FRAMES + 5
    sky = read.results[0]['sky']
    true = sum(
        int((mask == 0).sum())
        for path, entry in zip(paths, found, strict=True)
        for mask, row in zip(masks_of(path), entry.result.rows, strict=True)
        if row.is_key_frame
    )
    counts = total('sky', [entry.result.metrics for entry in found])
    assert counts is not None
    assert counts.sums['pixels'] == true > 0
    assert sky['found'] == counts.sums['found'] / true > 0
    assert f'{100 * sky["found"]:.1f}' in text_of(read).splitlines()[-1]
    assert 'sky' in {column.key for column in columns('mIoU')}
    assert Sky.columns[0].value(read.results[0], read.timings[0]) == 100 * sky['found']


def stored(evaluated: Evaluated) -> Evaluated:
    """Return a result after its way through a file."""
    result = InputResult.from_dict(json.loads(json.dumps(evaluated.result.to_dict())))
    return type(evaluated)(result, evaluated.timing)


@pytest.mark.parametrize('member', list(METRICS), ids=lambda member: member.name)
def test_every_metric_is_stored_and_added_without_loss(member: Any) -> None:
    metric, other = member.cls(3, 255), member.cls(3, 255)
    kept = member.cls.from_dict(json.loads(json.dumps(metric.to_dict())))
    assert kept.to_dict() == metric.to_dict()
    kept.merge(other)
    assert kept.to_dict() == metric.to_dict()
    with pytest.raises(VssError, match='classes'):
        metric.merge(member.cls(4, 255))
    with pytest.raises(VssError, match='void_id'):
        member.cls(3, 2)


def test_a_column_finds_its_figure() -> None:
    score = Column('x', ('streaming', 'score'), '{score}', 'x')
    assert score.value({}, {'streaming': {'miou': 0.5, 'agreement': 0.25}}) == 50
    assert score.value({}, {'streaming': {'agreement': 0.25}}) == 25
    assert score.value({}, {'streaming': None}) is score.value({}, {}) is None
    assert (score.named('mIoU').head, score.named('mIoU').path) == ('mIoU', score.path)
    assert Column('x', ('score',), 'x', 'x').value({'miou': None, 'agreement': 0.5}, {'score': 1}) == 50
    plain = Column('x', ('drops',), 'x', 'x', unit='frames', beside_score=True)
    assert plain.value({'drops': {'late': 1, 'lost': 2}, 'miou': 0.0}, {}) == 3
    assert plain.value({'drops': {'late': 1, 'lost': 2}, 'miou': None}, {}) is None


def test_sums_and_matrices_are_added() -> None:
    truth, mask = np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8)
    metrics = [Sky(2, 255) for _ in range(2)]
    for number, metric in enumerate(metrics):
        metric.sums.update(found=number, pixels=2)
        metric.matrix(number).add(truth, mask)
        metric.matrix(7).add(truth, mask)
    metrics[0].merge(metrics[1])
    assert metrics[0].sums == {'found': 1, 'pixels': 4}
    assert {n: int(matrix.counts.sum()) for n, matrix in metrics[0].matrices.items()} == {0: 2, 1: 2, 7: 4}
