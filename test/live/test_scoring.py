"""Scores of a live run against a replay and against hand-made arrivals; no ROS is needed for them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluation_parts import CAMERA, SIZE, clip, config, masks_of
from received_parts import CAMERA as TOPIC
from received_parts import FIRST, NODE, Came, record

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import AnsweredBy, Decision, Reason
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.accuracy import Accuracy
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.metrics.streaming import NO_CLASS, StreamingAccuracy
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag
from vss_ros.evaluation.replay.input_frames import InputFrames
from vss_ros.evaluation.replay.result import Evaluated, InputResult, InputTiming
from vss_ros.evaluation.report.figures import text_of
from vss_ros.evaluation.sweep.configuration import EvaluationConfig
from vss_ros.evaluation.sweep.outputs import Evaluation
from vss_ros.evaluation.sweep.summary import summarise, summarise_timing
from vss_ros.live.received import Instants, Received, ReceivedIndex
from vss_ros.live.scoring import score_live
from vss_ros.recordings.open import open_source
from vss_ros.recordings.playback import START_NS

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.evaluation.rows import FrameRow

pytestmark = pytest.mark.usefixtures('one_thread')
MS = 1_000_000
COUNTERS = {
    'received': 8, 'answered': 5, 'overwritten': 2, 'rejected': 1, 'rejected_data': 1, 'errors': 0,
    'key_frames': 1, 'slow_track_errors': 0, 'late_results_dropped': 3,
}  # fmt: skip


def stamp_of(index: int) -> int:
    """Stamp under which a folder's image is played at 15 Hz."""
    return START_NS + round(index * 1e9 / 15)


def coarse(row: FrameRow) -> FrameRow:
    """Return a row with its deviation to four digits: a message holds it as float32."""
    predicted = None if row.predicted_deviation is None else round(row.predicted_deviation, 4)
    threshold = None if row.threshold is None else round(row.threshold, 4)
    return replace(row, predicted_deviation=predicted, threshold=threshold)


def test_the_same_answers_in_time_give_the_figures_of_a_replay(tmp_path: Path) -> None:
    images = clip(tmp_path / 'clip', size=SIZE)  # so that labels are published as they leave the network
    segmenter = build_segmenter(config().segmenter).segmenter
    came = []
    with open_source(images) as source:
        for frame, _ in source:
            answer = segmenter.step(frame)
            stamp = frame.stamp_ns + START_NS
            key = replace(answer.decision, key_frame_stamp_ns=answer.decision.key_frame_stamp_ns + START_NS)
            came.append(
                Came(
                    stamp, stamp, answer.labels, stamp + 20 * MS, key, answer.track, answer.features_accurate,
                    0.01 + frame.index / 1000,
                )
            )  # fmt: skip
    played = Received(record(tmp_path / 'bag', came), TOPIC, NODE, 9, {'received': 9, 'answered': 9})
    live = score_live(InputFrames(images, config()), config().as_live(1.0), played)
    replayed = evaluate_bag(images, config())
    assert list(map(coarse, live.result.rows)) == list(map(coarse, replayed.result.rows))
    # What is sure of an answer the replay knows alone.
    answers = [
        replace(result, rows=(), metrics={k: v for k, v in result.metrics.items() if k != 'calibration'})
        for result in (live.result, replayed.result)
    ]
    assert answers[0] == answers[1]
    assert live.timing.latency_ms == pytest.approx([10 + i for i in range(9)], abs=0.01)
    assert live.timing.subscriber_ms == (20.0,) * 9
    assert live.timing.played_rate == 1.0


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return clip(tmp_path / 'clip')


def hand_made(images: Path, tmp_path: Path) -> tuple[Evaluated, list[Came]]:
    """Nine images played at twice their speed, four masks received, one image unseen by the subscriber."""
    truths = masks_of(images)
    rng = np.random.default_rng(0)
    delays = {0: 20, 2: 50, 3: 90, 6: 10}  # ms; from image to image it is 33.3
    came = []
    for index, truth in enumerate(truths):
        stamp = stamp_of(index)
        arrived = 10**18 + (stamp - START_NS) // 2
        mask = np.where(rng.random(truth.shape) < 0.8, truth, 2).astype(np.uint8)
        decision = (
            FIRST if index == 0 else Decision(index, False, Reason.DEVIATION, 0.1, 0.2, stamp_of(0), index)
        )
        some = index in delays
        came.append(
            Came(
                stamp,
                None if index == 4 else arrived,
                mask if some else None,
                arrived + delays.get(index, 0) * MS,
                decision if some else None,
                AnsweredBy.FULL if index == 0 else AnsweredBy.PROPAGATED,
                latency=0.005,
            )
        )
    received = Received(record(tmp_path / 'bag', came), TOPIC, NODE, 9, COUNTERS)
    return score_live(InputFrames(images, config()), config().as_live(2.0), received), came


def test_late_and_lost_masks_by_hand(images: Path, tmp_path: Path) -> None:
    live, came = hand_made(images, tmp_path)
    truths, result, timing = masks_of(images), live.result, live.timing
    answered, streamed = ConfusionMatrix(11, 11), ConfusionMatrix(11, 11)
    stale = []
    for index, truth in enumerate(truths):
        mask = came[index].mask
        if mask is not None:
            answered.add(truth, mask)
        now = 10**18 + (came[index].stamp_ns - START_NS) // 2
        there = [(i, e.mask) for i, e in enumerate(came) if e.mask is not None and e.mask_ns <= now]
        streamed.add(truth, there[-1][1] if there else np.full(CAMERA, NO_CLASS, np.uint8))
        stale += [index - there[-1][0]] if there else []
    assert Accuracy.from_dict(result.metrics['accuracy']).matrix().counts.tolist() == answered.counts.tolist()
    streaming = StreamingAccuracy.from_dict(timing.metrics['streaming'])
    assert streaming.confusion.counts.tolist() == streamed.counts.tolist()
    assert (streaming.labelled, streaming.misses, streaming.sums['stale_frames']) == (9, 1, sum(stale))
    assert [row.frame_index for row in result.rows] == [0, 2, 3, 6]
    assert [row.frames_since_key for row in result.rows] == [0, 2, 3, 6]
    assert {row.key_frame_stamp_ns for row in result.rows} == {0}
    assert (result.frames, result.scored, result.rejected, result.partial) == (4, 4, 0, False)
    assert result.drops == {'mask_lost': 1, 'overwritten': 2, 'rejected_data': 1, 'transport': 1}
    assert timing.subscriber_ms == (20.0, 50.0, 90.0, 10.0)
    assert timing.latency_ms == (5.0,) * 4
    assert timing.played_rate == 2.0


def test_what_is_written_is_marked_live(images: Path, tmp_path: Path) -> None:
    live, _ = hand_made(images, tmp_path)
    asked = config().as_live(2.0)
    summary, timing = summarise(asked, [live.result]), summarise_timing('tiny', [live])
    assert (summary['live'], summary['rate']) == (True, 2.0)
    assert summary['config']['segmenter']['slow_delay'] == 0
    assert summary['miou'] == round(Accuracy.from_dict(live.result.metrics['accuracy']).matrix().miou, 6)
    assert summary['drops'] == live.result.drops
    assert timing['latency_subscriber_ms']['max'] == 90.0
    assert timing['inputs'][0]['played_rate'] == 2.0
    replayed = summarise(config(), [live.result])
    assert (replayed['live'], replayed['rate']) == (False, 1.0)
    again = InputTiming.from_dict(json.loads(json.dumps(live.timing.to_dict())))
    assert again == live.timing
    text = text_of(Evaluation.of([(asked, [live])]))
    assert 'live at rate 2: tiny: 4 of 9 images answered (1 mask_lost, 2 overwritten' in text
    assert 'slow track has' not in text


def test_without_masks_it_is_agreement_with_the_network_at_the_cameras_size(tmp_path: Path) -> None:
    images = clip(tmp_path / 'clip', frames=3, masks=False)
    segmenter = build_segmenter(config(propagation='none').segmenter).segmenter
    came = []
    with open_source(images) as source:
        for frame, _ in source:
            answer = segmenter.step(frame)
            rows = np.arange(90) * 72 // 90
            mask = answer.labels[rows][:, np.arange(120) * 96 // 120]
            stamp = frame.stamp_ns + START_NS
            came.append(Came(stamp, stamp, mask, stamp + MS, answer.decision))
    received = Received(record(tmp_path / 'bag', came), TOPIC, NODE, 3, {'received': 3, 'answered': 3})
    live = score_live(InputFrames(images, config()), config(propagation='none').as_live(1.0), received).result
    assert (live.truth, live.frames) == ('per_frame', 3)
    assert Accuracy.from_dict(live.metrics['accuracy']).matrix().miou == 1.0


def test_nothing_received_says_why(images: Path, tmp_path: Path) -> None:
    nothing = Received(record(tmp_path / 'bag', []), TOPIC, NODE, 9, {'received': 7, 'overwritten': 7})
    with pytest.raises(VssError, match=r'none for 9 images .*: 7 overwritten, 2 transport'):
        score_live(InputFrames(images, config()), config().as_live(1.0), nothing)


def test_moments_of_images_that_a_subscriber_missed() -> None:
    index = ReceivedIndex()
    for stamp, arrived in ((30, 1030), (60, 1075), (60, 1080), (100, 1079)):
        index.images[stamp].append(arrived)
    instants = Instants(index, rate=2.0)
    # 20 ns before the first one seen are 10 at rate 2; equal stamps take turns; moments always grow.
    assert [instants.of(stamp) for stamp in (10, 30, 40, 60, 60, 100)] == [1020, 1030, 1035, 1075, 1080, 1081]
    nobody = Instants(ReceivedIndex(), rate=1.0)
    assert [nobody.of(stamp) for stamp in (5, 9)] == [5, 9]


def test_live_and_replay_are_different_configurations() -> None:
    replay = config()
    live = replay.as_live(3.0)
    assert (live.live, live.rate, live.segmenter.slow_delay) == (True, 3.0, 0)
    assert len({replay.digest(), live.digest(), replay.as_live(1.0).digest()}) == 3
    assert live.as_replay().digest() == replay.digest()
    assert EvaluationConfig.from_dict(json.loads(json.dumps(live.to_dict()))).digest() == live.digest()
    with pytest.raises(VssError, match='simulated slow track'):
        replace(replay, segmenter=replace(replay.segmenter, slow_delay=0))
    for rate in (0.0, -1.0, float('nan'), float('inf')):
        with pytest.raises(VssError, match='above 0'):
            replay.as_live(rate)


def test_failed_runs_do_not_disturb_the_summary(images: Path, tmp_path: Path) -> None:
    live, _ = hand_made(images, tmp_path)
    failed = Evaluated(InputResult('elsewhere', failed=True, reason='the node ended'))
    evaluation = Evaluation.of([(config().as_live(2.0), [live, failed])])
    assert evaluation.results[0]['frames'] == 4
    assert 'not evaluated: elsewhere: the node ended' in text_of(evaluation)
