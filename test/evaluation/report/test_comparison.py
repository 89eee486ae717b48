from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from report_parts import configuration, evaluated, write_results

from vss_ros.errors import VssError
from vss_ros.evaluation.report.comparison import (
    BLOCK,
    compare,
    confidence,
    for_machines,
    page_of,
    student_quantile,
    text_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.evaluation.report.comparison import Comparison
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

SWIFT, CAREFUL = configuration('swift'), configuration('careful', interval=2)


def folder_of(folder: Path, *found: tuple[EvaluationConfig, float, float], **settings: Any) -> Path:
    """Write results of configurations, each with its share of wrong pixels and its latency."""
    settings = {'noise': 0.01} | settings
    return write_results(folder, [(config, [evaluated(config, *f, **settings)]) for config, *f in found])


def compared(
    tmp_path: Path, before: tuple[float, float], after: tuple[float, float], **settings: Any
) -> Comparison:
    """Compare a configuration with itself, with figures and noise of their own."""
    a = folder_of(tmp_path / 'a', (SWIFT, *before))
    return compare(a, folder_of(tmp_path / 'b', (SWIFT, *after), **({'seed': 1} | settings)))


def judgements(comparison: Comparison) -> dict[str, str]:
    """Return what is said of the only configuration's figures."""
    (pair,) = comparison.pairs
    return {key: change.judgement for key, change in pair.changes.items() if change.judgement}


def test_the_same_is_the_same(tmp_path: Path) -> None:
    comparison = compared(tmp_path, (0.1, 20.0), (0.1, 20.0), seed=0)
    found = judgements(comparison)
    assert set(found.values()) == {'same'}
    assert {'score', 'latency_p50'} <= set(found)
    assert comparison.notes == []


@pytest.mark.parametrize(
    ('after', 'score', 'latency'),
    [
        ((0.05, 12.0), 'better', 'better'),
        ((0.15, 30.0), 'worse', 'worse'),
        ((0.1, 20.5), 'may be chance', 'may be chance'),
    ],
)
def test_change_is_told_from_chance(
    tmp_path: Path, after: tuple[float, float], score: str, latency: str
) -> None:
    comparison = compared(tmp_path, (0.1, 20.0), after)
    found = judgements(comparison)
    assert (found['score'], found['latency_p50']) == (score, latency)
    (pair,) = comparison.pairs
    assert pair.latency_ratio == pytest.approx(after[1] / 20.0, rel=0.02)
    assert 'temporal_consistency' not in found


def test_same_settings_by_another_name_and_same_name_with_other_settings(tmp_path: Path) -> None:
    a = folder_of(
        tmp_path / 'a',
        (SWIFT, 0.1, 20.0),
        (CAREFUL, 0.1, 20.0),
        (configuration('gone', interval=7), 0.1, 20.0),
    )
    renamed = replace(SWIFT, name='brisk')
    changed = configuration('careful', interval=3)
    b = folder_of(
        tmp_path / 'b',
        (changed, 0.1, 20.0),
        (renamed, 0.1, 20.0),
        (configuration('new', interval=9), 0.1, 20.0),
    )
    comparison = compare(a, b)
    assert [(p.before.name, p.after.name, p.same_settings) for p in comparison.pairs] == [
        ('swift', 'brisk', True),
        ('careful', 'careful', False),
    ]
    assert (comparison.only_before, comparison.only_after) == (['gone'], ['new'])
    assert 'careful (settings differ)' in text_of(comparison)


def test_who_fell(tmp_path: Path) -> None:
    a = folder_of(tmp_path / 'a', (SWIFT, 0.1, 20.0), (CAREFUL, 0.1, 20.0))
    b = folder_of(tmp_path / 'b', (SWIFT, 0.102, 20.0))
    comparison = compare(a, b)
    difference = comparison.pairs[0].changes['score'].difference
    assert difference is not None
    assert difference < 0
    assert comparison.dropped_by(-difference) == ['careful'], 'missing; the other fell by just so much'
    assert comparison.dropped_by(-difference - 0.01) == ['careful', 'swift']


def test_agreement_and_miou_are_no_pair(tmp_path: Path) -> None:
    with pytest.raises(VssError, match=r'got mIoU in .* and agreement in'):
        compared(tmp_path, (0.1, 20.0), (0.1, 20.0), truth='per_frame')


def test_nothing_in_common(tmp_path: Path) -> None:
    a, b = folder_of(tmp_path / 'a', (SWIFT, 0.1, 20.0)), folder_of(tmp_path / 'b', (CAREFUL, 0.1, 20.0))
    with pytest.raises(VssError, match='expected a configuration that is both in'):
        compare(a, b)


def test_other_frames_are_not_judged(tmp_path: Path) -> None:
    a = folder_of(tmp_path / 'a', (SWIFT, 0.1, 20.0))
    other = evaluated(SWIFT, 0.2, 20.0)
    other = replace(other, result=replace(other.result, sha256='cd' * 32))
    comparison = compare(a, write_results(tmp_path / 'b', [(SWIFT, [other])]))
    assert 'score' not in judgements(comparison)
    assert comparison.notes[0].startswith('Not all frames are in both')


def test_a_busier_machine_is_suspected(tmp_path: Path) -> None:
    configs = [SWIFT, CAREFUL, configuration('third', interval=3)]
    a = folder_of(tmp_path / 'a', *((config, 0.1, 20.0) for config in configs))
    b = folder_of(tmp_path / 'b', *((config, 0.1, 30.0) for config in configs))
    (note,) = compare(a, b).notes
    assert '1.50 times as long' in note


def test_text_and_page(tmp_path: Path) -> None:
    comparison = compared(tmp_path, (0.1, 20.0), (0.15, 20.0), noise=0.0)
    text = text_of(comparison)
    assert text.splitlines()[0] == 'swift'
    assert text.splitlines()[1].split()[0] == 'mIoU', 'always there, and first'
    assert text.splitlines()[1].endswith('worse')
    page = page_of(comparison, '<a>', '"b"')
    assert '<code>&lt;a&gt;</code>' in page
    assert 'class="worse"' in page
    assert 'in 0 and worse in 1, median latency' in page
    told = for_machines(comparison)
    assert told['configurations'][0]['figures']['score']['judgement'] == 'worse'


@pytest.mark.parametrize(
    ('freedom', 'quantile'), [(5, 2.5706), (6, 2.4469), (9, 2.2622), (19, 2.0930), (100, 1.9840)]
)
def test_student_as_in_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, rel=0.003)


def test_interval_by_hand() -> None:
    """Six blocks of one frame: mean 3.5, standard deviation of the mean 0.7638, quantile 2.5706."""
    interval = confidence([1, 2, 3, 4, 5, 6])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((3.5 - 1.9634, 3.5 + 1.9634), abs=0.005)
    assert interval.sign == 1


def test_too_few_frames_say_nothing() -> None:
    assert confidence([1.0] * 5) is None
    assert confidence([]) is None


def test_95_of_100_intervals_hold_the_truth_though_frames_are_alike() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        steps = rng.standard_normal(20 * BLOCK + 7)
        frames = [steps[0]]
        for step in steps[1:]:
            frames.append(0.7 * frames[-1] + step)
        interval = confidence(frames)
        assert interval is not None
        held += interval.low <= 0 <= interval.high
    # Blocks of 15 frames with a memory of about 3 leave little of it between them.
    assert 0.90 <= held / 400 <= 0.98
