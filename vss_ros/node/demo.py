"""The main job in one go: player, node and recorder as processes of their own over DDS, then a report.

Plays a bag, video or image folder (the embedded clip by default) at its own speed, records what the node
publishes and writes overlay.mp4, timeline.png, summary.json and the recorded bag.

Examples:
  make demo
  make demo SOURCE=drive.mp4
  python -m vss_ros.node.demo my_bag -o out --param track:=blocking
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tqdm import tqdm

from vss_ros.data.bags import is_bag
from vss_ros.data.playback import Topic, open_playback
from vss_ros.data.sources import is_mask_topic, open_source
from vss_ros.errors import VssError
from vss_ros.evaluation.demo_report import write_report
from vss_ros.evaluation.recording import RecordedTopics, Recording
from vss_ros.resources import large_image_environment, resource

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE = '/segmentation'
STOP_SECONDS = 20.0
OUTPUTS = ('overlay.mp4', 'timeline.png', 'picture.png', 'decisions.csv', 'summary.json')
QUIET_DOMAIN = 91
"""ROS domain used where none is set: a demo must not meet a robot's own /segmentation."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    args = _parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the children are stopped as well
    os.environ.setdefault('ROS_DOMAIN_ID', str(QUIET_DOMAIN))
    try:
        return _run(args)
    except VssError as error:
        print(f'demo: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('demo: interrupted', file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    source = args.source or resource('test', 'data', 'street')
    image, truth, images = _topics(source)
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:  # so that what is there after a failure is not an older run's
        (output / name).unlink(missing_ok=True)
    topics = RecordedTopics(image.name, f'{NODE}/mask', f'{NODE}/key_frame', truth.name if truth else None)
    print(f'playing {source} through {NODE} over DDS, ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}')
    play(source, image, topics, output, rate=args.rate, parameters=args.param, total=images)
    recording = Recording(output / 'bag', topics)
    with open_source(source, image_topic=image.name if is_bag(source) else None) as opened:
        fps = opened.fps or 15.0
    return write_report(recording, output, source, model=_model(args.param), fps=fps)


def _topics(source: Path) -> tuple[Topic, Topic | None, int]:
    """Return the camera topic, the true masks' topic if there is one, and the number of images."""
    with open_playback(source) as playback:
        cameras = [topic for topic in playback.topics if topic.is_camera]
        truths = [t for t in playback.topics if is_mask_topic(t.name) and 'mage' in t.msgtype]
    if len(cameras) != 1:
        names = ', '.join(topic.name for topic in cameras) or 'none'
        msg = f'{source}: expected exactly one topic with camera images, got {names}'
        raise VssError(msg)
    return cameras[0], truths[0] if len(truths) == 1 else None, cameras[0].messages


def play(
    source: Path,
    image: Topic,
    topics: RecordedTopics,
    output: Path,
    *,
    rate: float,
    parameters: Sequence[str],
    total: int,
) -> None:
    """Run recorder, node and player until the source has ended; writes ``output/bag`` and ``output/*.log``.

    Args:
        source: What is played.
        image: Its camera topic.
        topics: What is recorded.
        output: Folder for bag and logs.
        rate: Speed, 1 being the recording's own.
        parameters: ``name:=value`` for the node.
        total: Images to expect, for the progress bar.

    Raises:
        VssError: A process failed; the message shows the end of its log.

    """
    with ExitStack() as stack:

        def start(name: str, words: Sequence[str]) -> _Process:
            module = f'vss_ros.node.{name}'
            return stack.enter_context(_Process(name, [sys.executable, '-m', module, *words], output))

        recorder = start('recorder', _recorder_words(image, topics, output))
        segmenter = start('segmentation_main', _node_words(image, parameters))
        segmenter.wait_for('waiting for images', 90.0)
        recorder.wait_for(f'recording {topics.decision}', 30.0)
        player = start('bag_player', [str(source), '--wait-subscribers', '2', '--rate', str(rate)])
        _watch([player, segmenter, recorder], total)
        time.sleep(1.5)  # the last mask is on its way, and the last second's diagnostics
        segmenter.stop()
        recorder.stop()


def _node_words(image: Topic, parameters: Sequence[str]) -> list[str]:
    """Return the node's command line for a camera topic."""
    transport = 'compressed' if image.msgtype.endswith('CompressedImage') else 'raw'
    subscribed = 'image_raw/compressed' if transport == 'compressed' else 'image_raw'
    words = ['--ros-args', '--params-file', str(resource('config', 'segment.yaml'))]
    words += ['-r', f'{subscribed}:={image.name}']
    for pair in (f'image_transport:={transport}', *parameters):
        words += ['-p', pair]
    return words


def _recorder_words(image: Topic, topics: RecordedTopics, output: Path) -> list[str]:
    """Return the recorder's command line: the camera, what the node publishes, and the truth."""
    recorded = [f'{image.name}:{image.msgtype}', topics.mask, topics.decision, f'{NODE}/confidence']
    recorded += [topics.diagnostics, *([topics.truth] if topics.truth else [])]
    return [*recorded, '-o', str(output / 'bag'), '--overwrite']


def _watch(processes: Sequence[_Process], total: int) -> None:
    """Show progress until the first process, the player, has ended; the others must live."""
    started = time.monotonic()
    with tqdm(total=None, bar_format='playing {total_fmt} images: {elapsed}', leave=False) as bar:
        bar.total = total
        while processes[0].poll() is None:
            for process in processes[1:]:
                if process.poll() is not None:
                    raise process.failure('ended while the source was playing')
            bar.update(0)
            bar.refresh()
            time.sleep(0.2)
    if processes[0].poll():
        raise processes[0].failure(f'failed after {time.monotonic() - started:.0f} s')


class _Process:
    """A child process with a log file; leaving the context stops it."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        """Start the process with the profile that large images need."""
        self._name = name
        self._log = folder / f'{name}.log'
        environment = os.environ | large_image_environment(os.environ) | {'PYTHONUNBUFFERED': '1'}
        environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        with self._log.open('w') as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, whatever happened."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._process.poll()

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until the log holds ``text``."""
        deadline = time.monotonic() + seconds
        while text not in self._log.read_text(errors='replace'):
            if self.poll() is not None or time.monotonic() > deadline:
                raise self.failure(f'did not say {text!r} within {seconds:.0f} s')
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end and wait.

        Raises:
            VssError: It did not end by itself, or not with exit status 0.

        """
        if self.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise self.failure(f'did not end within {STOP_SECONDS:.0f} s of SIGINT') from None
        if self._process.returncode:
            raise self.failure(f'ended with exit status {self._process.returncode}')

    def failure(self, what: str) -> VssError:
        """Return an error with the end of the log."""
        tail = ''.join(f'\n  {line}' for line in self._log.read_text(errors='replace').splitlines()[-8:])
        return VssError(f'{self._name} {what}; the end of {self._log}:{tail}')


def _model(parameters: Sequence[str]) -> str:
    from vss_ros.engine.build import SegmenterConfig

    return next((p.split(':=', 1)[1] for p in parameters if p.startswith('model:=')), SegmenterConfig().model)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        'demo', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'source', nargs='?', type=Path, help='bag, video or image folder (default: the embedded clip)'
    )
    parser.add_argument('-o', '--output', type=Path, default=Path('demo-output'), help='default: demo-output')
    parser.add_argument(
        '--rate', type=float, default=1.0, help="speed, 1 being the source's own (default: 1)"
    )
    parser.add_argument(
        '--param', action='append', default=[], metavar='NAME:=VALUE', help='a node parameter, repeatable'
    )
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(main())
