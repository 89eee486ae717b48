"""The verdict, on figures made up for it."""

from __future__ import annotations

from typing import Any

from vss_ros.evaluation.sweep.verdict import Candidate, candidates, judge, sentences, slow_track_note

# One of its frames came at a bad moment, which makes no other configuration faster.
WHOLE = Candidate('per_frame', True, 0.72, 250.0, 100.0)


def test_the_two_questions() -> None:
    found = [
        WHOLE,
        Candidate('light', True, 0.60, 40.0, 10.0),
        Candidate('exact', False, 0.71, 80.0, 10.0),
        Candidate('limit', False, 0.70, 60.0, 10.0),
        Candidate('quick', False, 0.65, 50.0, 10.0),
        Candidate('quicker', False, 0.64, 20.0, 10.0),
    ]
    verdict = judge(found)
    assert verdict is not None
    assert (verdict.reference, verdict.fast, verdict.accurate) == ('per_frame', 'quick', 'limit')
    lines = sentences(verdict, found)
    assert lines[0] == (
        'worst latency at most 50 % of per-frame: '
        'quick (65.0 mIoU, worst 50.0 ms: 50 % of the latency, -7.0 mIoU)'
    )
    assert lines[1].startswith('at most 2 mIoU lost: limit (70.0 mIoU')
    assert lines[2] == 'compared with per_frame (72.0 mIoU, worst 250.0 ms, usually 100.0 ms)'


def test_none_fits() -> None:
    found = [WHOLE, Candidate('a', False, 0.5, 60.0, 10.0), Candidate('b', False, 0.6, 90.0, 10.0)]
    verdict = judge(found, 'agreement')
    assert verdict is not None
    assert (verdict.fast, verdict.accurate) == ('', '')
    lines = sentences(verdict, found)
    assert 'none; nearest is a (50.0 agreement, worst 60.0 ms)' in lines[0]
    assert 'none; nearest is b' in lines[1]


def test_a_lighter_network_on_every_frame_is_an_answer_too() -> None:
    verdict = judge([WHOLE, Candidate('light', True, 0.71, 45.0, 10.0)])
    assert verdict is not None
    assert (verdict.fast, verdict.accurate) == ('light', 'light')


def test_nothing_to_compare_with() -> None:
    assert judge([Candidate('a', False, 0.5, 60.0, 10.0)]) is None
    lonely = judge([WHOLE])
    assert lonely is not None
    assert sentences(lonely, [WHOLE])[1].endswith('none; nearest is per_frame (72.0 mIoU, worst 250.0 ms)')


def run(name: str, propagation: str, ms: float, *, delay: int = 1, **more: Any) -> tuple[Any, Any]:
    segmenter = {'model': 'm', 'propagation': propagation, 'track': 'fast_slow', 'slow_delay': delay}
    result = {'name': name, 'config': {'segmenter': segmenter}, 'frame_interval_ms': 50.0} | more
    return result, {'latency_steady_ms': {'p50': ms, 'max': 2 * ms} if ms else {}}


def test_a_slow_track_that_this_machine_has_not() -> None:
    results, timings = zip(run('p', 'none', 120), run('a', 'reuse', 5), strict=True)
    assert '--slow-delay 3 is what this machine can do' in slow_track_note(results, timings)
    results, timings = zip(run('p', 'none', 120), run('a', 'reuse', 5, delay=3), strict=True)
    assert slow_track_note(results, timings) == ''


def test_what_was_not_scored_is_no_candidate() -> None:
    runs = [
        run('p', 'none', 100, miou=0.7),
        run('a', 'reuse', 5, miou=None),
        run('b', 'reuse', 0, agreement=0.6),
    ]
    found = candidates(*zip(*runs, strict=True))
    assert found == [Candidate('p', True, 0.7, 200.0, 100.0)]
