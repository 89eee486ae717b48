"""`evaluate_bag`: the same for every container, equal in every run, right to the last pixel."""

from __future__ import annotations

import json
import pickle
import shutil
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from evaluation_parts import FRAMES, SIZE, bag, clip, config, images_of, masks_of

from vss_ros.datasets.labelled import LabelledImages
from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import AnsweredBy, Frame
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.accuracy import Accuracy
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.metrics.distance import DistanceAccuracy
from vss_ros.evaluation.replay.clock import Clock
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.evaluation.replay.operations import frame_costs, frame_operations, part_costs
from vss_ros.evaluation.replay.propagation import propagation_distance_accuracy
from vss_ros.evaluation.replay.result import Evaluated, InputResult, InputTiming
from vss_ros.evaluation.sweep.configuration import EvaluationConfig
from vss_ros.evaluation.sweep.summary import summarise, summarise_timing
from vss_ros.recordings.open import open_source

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp('clip'))


@pytest.fixture(scope='module')
def evaluated(images: Path) -> Evaluated:
    return evaluate_bag(images, config())


def confusion(evaluated: Evaluated) -> ConfusionMatrix:
    return Accuracy.from_dict(evaluated.result.metrics['accuracy']).matrix()


def score(evaluated: Evaluated) -> float:
    assert not evaluated.result.failed, evaluated.result.reason
    return confusion(evaluated).miou


def test_against_a_replay_by_hand(images: Path, evaluated: Evaluated) -> None:
    segmenter = build_segmenter(config().segmenter).segmenter
    matrix, key = ConfusionMatrix(11, 11), None
    alone: list[float] = []
    deviations: list[float | None] = []
    for i, (image, truth) in enumerate(zip(images_of(images), masks_of(images), strict=True)):
        answer = segmenter.step(Frame(image, round(i * 1e9 / 15), i))
        mask = cv2.resize(answer.labels, (120, 90), interpolation=cv2.INTER_NEAREST)
        one = ConfusionMatrix(11, 11)
        one.add(truth, np.asarray(mask, np.uint8))
        matrix.merge(one)
        alone.append(one.miou)
        deviations.append(None if key is None else float(np.mean(key != answer.labels)))
        key = answer.labels if answer.decision.is_key_frame else key
    result = evaluated.result
    assert np.array_equal(confusion(evaluated).counts, matrix.counts)
    assert [row.score for row in result.rows] == pytest.approx(alone, abs=1e-6)
    assert deviations[0] is result.rows[0].deviation is None
    assert [row.deviation for row in result.rows[1:]] == pytest.approx(deviations[1:], abs=1e-6)
    by_distance = DistanceAccuracy.from_dict(result.metrics['distance']).matrices.values()
    assert np.array_equal(sum(part.counts for part in by_distance), matrix.counts)
    assert (result.truth, result.frames, result.scored, result.partial) == ('masks', FRAMES, FRAMES, False)
    assert len(evaluated.timing.latency_ms) == FRAMES
    assert min(evaluated.timing.latency_ms) > 0


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_bag_gives_what_its_folder_gave(
    images: Path, evaluated: Evaluated, storage: str, tmp_path: Path
) -> None:
    made = evaluate_bag(bag(images, tmp_path / 'b', '--storage', storage), config())
    assert made.result.metrics == evaluated.result.metrics
    assert [(r.is_key_frame, r.score, r.deviation) for r in made.result.rows] == [
        (r.is_key_frame, r.score, r.deviation) for r in evaluated.result.rows
    ]
    assert made.result.sha256 != evaluated.result.sha256


def test_two_runs_are_equal_and_no_clock_is_in_the_result(images: Path, evaluated: Evaluated) -> None:
    again = evaluate_bag(str(images), config())
    assert json.dumps(again.result.to_dict()) == json.dumps(evaluated.result.to_dict())
    summary = json.dumps(summarise(config(), [again.result]))
    assert summary == json.dumps(summarise(config(), [evaluated.result]))
    assert not [word for word in ('latency', 'date', 'seconds', 'machine') if word in summary]


def test_results_cross_processes_and_files(evaluated: Evaluated) -> None:
    assert pickle.loads(pickle.dumps(evaluated)) == evaluated
    result = InputResult.from_dict(json.loads(json.dumps(evaluated.result.to_dict())))
    assert result == evaluated.result
    assert InputTiming.from_dict(json.loads(json.dumps(evaluated.timing.to_dict()))) == evaluated.timing
    assert (
        EvaluationConfig.from_dict(json.loads(json.dumps(config().to_dict()))).digest() == config().digest()
    )


def test_without_masks_it_is_agreement_never_miou(tmp_path: Path) -> None:
    images = clip(tmp_path / 'c', masks=False)
    whole = evaluate_bag(images, config(propagation='none'))
    assert score(whole) == 1.0
    propagated = evaluate_bag(images, config())
    assert 0.3 < score(propagated) < 1.0
    summary = summarise(config(), [propagated.result])
    assert summary['truth'] == 'per_frame'
    assert summary['agreement'] == pytest.approx(score(propagated), abs=1e-6)
    assert 'miou' not in summary
    assert 'miou' not in summarise_timing('x', [propagated])['streaming']


def test_agreement_can_be_asked_for_where_masks_are(images: Path) -> None:
    asked = evaluate_bag(images, replace(config(propagation='none'), agreement=True))
    assert (asked.result.truth, score(asked)) == ('per_frame', 1.0)


def test_masks_of_some_frames_from_a_folder(images: Path, evaluated: Evaluated, tmp_path: Path) -> None:
    made = bag(clip(tmp_path / 'c', masks=False), tmp_path / 'drive')
    labels = tmp_path / 'labels' / 'drive'
    labels.mkdir(parents=True)
    for number in (2, 5, 6):
        shutil.copy(images.parent / 'labels' / f'{number:04d}.png', labels / f'{number}.png')
    some = evaluate_bag(made, replace(config(), masks=str(tmp_path / 'labels')))
    assert (some.result.truth, some.result.frames, some.result.scored) == ('folder', FRAMES, 3)
    scored = {row.frame_index: row.score for row in some.result.rows if row.score is not None}
    assert scored == {i: evaluated.result.rows[i].score for i in (2, 5, 6)}
    assert some.timing.metrics['streaming']['sums']['labelled'] == 3


def test_inputs_with_and_without_masks_are_never_added(images: Path, tmp_path: Path) -> None:
    bare = evaluate_bag(clip(tmp_path / 'c', 4, masks=False), config())
    true = evaluate_bag(images, config())
    summary = summarise(config(), [bare.result, true.result])
    assert summary['miou'] == pytest.approx(score(true), abs=1e-6)
    assert summary['agreement'] == pytest.approx(score(bare), abs=1e-6)
    assert {entry['input'] for entry in summary['worst']} == {1}
    assert summary['frames'] == FRAMES + 4


def test_the_worst_ten_come_first(evaluated: Evaluated) -> None:
    summary = summarise(config(), [evaluated.result, evaluated.result])
    assert len(summary['worst']) == 10
    scores = sorted([row.score for row in evaluated.result.rows if row.score is not None] * 2)
    assert [entry['score'] for entry in summary['worst']] == scores[:10]


def test_damaged_frames_are_counted_by_cause(images: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(images, tmp_path / 'images'))
    data = (broken / '0003.png').read_bytes()
    (broken / '0003.png').write_bytes(data[: len(data) // 2])
    shutil.copytree(images.parent / 'labels', tmp_path / 'labels')
    result = evaluate_bag(broken, config()).result
    assert (result.failed, result.frames, result.rejected) == (False, FRAMES - 1, 1)
    assert list(result.drops.values()) == [1]


def test_a_bag_that_breaks_off_is_marked(images: Path, tmp_path: Path) -> None:
    file = next(bag(images, tmp_path / 'b').glob('*.mcap'))
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    result = evaluate_bag(cut, config()).result
    assert result.partial or result.failed
    assert result.reason
    assert result.frames < FRAMES


@pytest.mark.parametrize('kind', ['missing', 'empty', 'text', 'classes', 'masks'])
def test_a_bad_input_is_a_result_not_an_exception(kind: str, images: Path, tmp_path: Path) -> None:
    path, setting = tmp_path / kind, config()
    if kind == 'empty':
        path.mkdir()
    elif kind == 'text':
        path.with_suffix('.mcap').write_text('no bag')
        path = path.with_suffix('.mcap')
    elif kind == 'classes':
        shutil.copytree(images, path / 'images')
        (path / 'labels').mkdir()
        for file in images.iterdir():
            cv2.imwrite(str(path / 'labels' / file.name), np.full((90, 120), 18, np.uint8))
    elif kind == 'masks':
        path, setting = images, replace(setting, masks=str(tmp_path / 'nowhere'))
    result = evaluate_bag(path, setting).result
    assert result.failed
    words = {'classes': 'class table', 'masks': 'nowhere'}.get(kind, kind)
    assert words in result.reason
    assert result.rows == ()


def test_a_changed_input_is_read_anew(images: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(images.parent, tmp_path / 'c')) / 'images'
    with Inputs() as inputs:
        first = evaluate_bag(moved, config(propagation='none'), inputs=inputs)
        shutil.copy(moved / '0000.png', moved / '0008.png')
        second = evaluate_bag(moved, config(propagation='none'), inputs=inputs)
    assert second.result.rows[8].score != first.result.rows[8].score
    assert second.result.sha256 != first.result.sha256


def test_operations_agree_with_the_table_of_costs() -> None:
    built = build_segmenter(config(track='blocking').segmenter)
    parts = built.segmenter.parts
    operations = frame_operations(parts, SIZE, torch.device('cpu'))
    costs = part_costs(parts, SIZE, torch.device('cpu'))
    sums = frame_costs(costs, parts)
    scheduler = next(cost.flops for cost in costs if cost.part == 'scheduler')
    assert operations.whole == sums['whole network'].flops
    assert operations.by_track[AnsweredBy.PROPAGATED] == sums['between key frames'].flops
    assert operations.by_track[AnsweredBy.FULL] == operations.whole + scheduler
    high = next(cost.flops for cost in costs if cost.part == 'high')
    assert operations.by_track[AnsweredBy.FAST] == operations.by_track[AnsweredBy.PROPAGATED] + high


def test_the_whole_network_on_every_frame_costs_itself(images: Path) -> None:
    result = evaluate_bag(images, config(propagation='none')).result
    assert summarise(config(), [result])['flops_ratio'] == 1.0


def test_streaming_scores_the_frame_before(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every step is faster than 66 ms, so that at each instant the answer to the frame before is held.
    monkeypatch.setattr('vss_ros.evaluation.replay.clock.median', lambda _: 0.03)
    streaming = summarise_timing('x', [evaluate_bag(images, config())])['streaming']
    assert (streaming['labelled'], streaming['misses'], streaming['mean_staleness_frames']) == (
        FRAMES,
        1,
        1.0,
    )


def test_pda_is_that_of_training(tmp_path: Path) -> None:
    size = (64, 96)  # training and its scores see sizes whose coarsest maps halve evenly
    images = clip(tmp_path / 'c', 14, size=size)
    with_pda = replace(config(size=size), pda=True)
    result = evaluate_bag(images, with_pda).result
    parts = build_segmenter(with_pda.segmenter).segmenter.parts
    assert parts.propagation is not None
    video = LabelledImages(images_of(images), masks_of(images), [f'a_{i}' for i in range(14)])
    expected = propagation_distance_accuracy(
        parts.backbone, parts.propagation, video, range(11), motion=parts.motion
    )
    pda = summarise(with_pda, [result])['pda']
    assert pda == {str(d): pytest.approx(expected[d], abs=1e-6) for d in range(11)}


def test_repeats_change_the_times_only_and_every_pass_is_counted(images: Path, evaluated: Evaluated) -> None:
    counted: list[None] = []
    asked = replace(config(), repeats=3, pda=True)
    again = evaluate_bag(images, asked, lambda: counted.append(None))
    assert again.result.metrics.pop('pda')['matrices'] == {}, 'too few frames'
    assert again.result == evaluated.result
    assert (again.timing.replays, evaluated.timing.replays) == (3, 1)
    assert again.timing.latency_ms != evaluated.timing.latency_ms
    assert {part: len(ms) for part, ms in again.timing.parts_ms.items()} == {
        part: len(ms) for part, ms in evaluated.timing.parts_ms.items()
    }
    assert len(counted) == FRAMES * asked.passes == FRAMES * 4
    assert asked.to_dict() == replace(asked, repeats=1).to_dict()
    assert asked.digest() == replace(asked, repeats=1).digest()
    assert InputTiming.from_dict(json.loads(json.dumps(again.timing.to_dict()))) == again.timing


def test_the_network_that_stands_in_for_masks_is_a_pass_too(tmp_path: Path) -> None:
    counted: list[None] = []
    bare = clip(tmp_path / 'c', 3, masks=False)
    with Inputs() as inputs:
        for _ in range(2):  # its answers are kept
            evaluate_bag(bare, config(), lambda: counted.append(None), inputs)
    assert len(counted) == 3 + 3 + 3


@pytest.mark.parametrize('repeats', [1, 3])
def test_a_busy_moment_is_in_no_median(repeats: int, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One frame of one replay takes 0.3 s longer; its answer and decision are those of the others."""
    built = build_segmenter(config(scheduler='fixed_interval').segmenter)
    clock, answers = Clock(built), []
    with open_source(images) as source:
        frames = list(source)
    low, busy = built.segmenter.parts.backbone.low, False

    def late(image: torch.Tensor) -> torch.Tensor:
        if busy:
            time.sleep(0.3)
        return low(image)

    monkeypatch.setattr(built.segmenter.parts.backbone, 'low', late)
    for replay in range(repeats):
        clock.start(frames[0].frame)
        for frame, _ in frames:
            busy = (replay, frame.index) == (0, 6)
            answers.append(clock.step(frame))
    timing = clock.timing(lambda seconds: {'x': {'sixth': seconds[6]}})
    assert (timing.latency_ms[6] > 300) == (timing.parts_ms['low'][6] > 300) == (repeats == 1)
    assert timing.metrics['x']['sixth'] == pytest.approx(timing.latency_ms[6] / 1e3, abs=1e-6)
    assert timing.replays == repeats
    assert timing.spread is None if repeats == 1 else (timing.spread or 0) >= 1
    assert sum(answer.decision.is_key_frame for answer in answers) == 3 * repeats
    for number, answer in enumerate(answers):
        assert answer.decision == answers[number % FRAMES].decision
        assert np.array_equal(answer.labels, answers[number % FRAMES].labels)


def test_repeats_that_make_no_sense() -> None:
    with pytest.raises(VssError, match='repeats 0: expected 1 or more'):
        replace(config(), repeats=0)
    with pytest.raises(VssError, match='of live runs'):
        replace(config(), repeats=2).as_live(1.0)
