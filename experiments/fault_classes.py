"""Faults of a robot's day: what to do to the node, and by what it shows that it has noticed.

Each is injected into a node that runs, which has to answer good images again after it, unless it is told to
end. ``soak`` injects those that are ``harmless`` now and then, ``faults`` each of them many times.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from experiments.fault import FAULTS, Fault, deal, fault, picture
from experiments.robot import BEST_EFFORT, RELIABLE, LostError, image_message
from vss_ros.live.run import Child
from vss_ros.node.conversions import ns_to_stamp

if TYPE_CHECKING:
    import random

    from experiments.fault import Injection
    from experiments.robot import Robot

SECOND: Final = 10**9


# What a camera sends.


@fault('rejected_step')
def wrong_step(bench: Robot, rng: random.Random) -> None:
    """Rows are shorter than their pixels."""
    message = picture(bench)
    message.step = rng.randrange(3 * message.width)
    deal(bench, message, 'wrong_step')


@fault('rejected_encoding')
def unknown_encoding(bench: Robot, rng: random.Random) -> None:
    """A word that is no encoding, or one that has no colours."""
    message = picture(bench)
    message.encoding = rng.choice(
        ['', 'rgb9', 'RGB8', '32FC1', '64FC4', 'jpeg', 'rgb8; drop table', 'x' * 5000]
    )
    deal(bench, message, 'unknown_encoding')


@fault('rejected_data')
def wrong_length(bench: Robot, rng: random.Random) -> None:
    """Data ends early, or is none."""
    message = picture(bench)
    message.data = message.data[: rng.choice([0, 1, rng.randrange(len(message.data))])]
    deal(bench, message, 'wrong_length')


@fault('rejected_size', 'rejected_step', 'rejected_data')
def impossible_size(bench: Robot, rng: random.Random) -> None:
    """No pixel, or more than there is memory."""
    message = picture(bench)
    message.height, message.width = rng.choice(
        [(0, 0), (0, 480), (360, 0), (2**32 - 1, 2**32 - 1), (2**31, 1)]
    )
    message.step = min(3 * message.width, 2**32 - 1)
    deal(bench, message, 'impossible_size')


@fault('rejected')
def rubbish(bench: Robot, rng: random.Random) -> None:
    """Every field at random."""
    data = np.random.default_rng(rng.randrange(2**32)).bytes(rng.randrange(10000))
    numbers = [rng.choice([0, 1, 7, 360, 65536, 2**32 - 1]) for _ in range(3)]
    message = Image(
        height=numbers[0], width=numbers[1], step=numbers[2], encoding=rng.choice(['rgb8', 'é\n\0x', ''])
    )
    message.is_bigendian, message.header.frame_id = rng.choice([0, 1, 255]), rng.choice(['', 'ü' * 300])
    message.data = data
    deal(bench, message, 'rubbish')


@fault()
def noise(bench: Robot, rng: random.Random) -> None:
    """An image of nothing at all."""
    generator = np.random.default_rng(rng.randrange(2**32))
    image = generator.integers(0, 256, (360, 480, 3), np.uint8)
    image[:] = rng.choice([image, np.zeros_like(image), np.full_like(image, 255)])
    deal(bench, image_message(image, time.time_ns()), 'noise')


@fault()
def another_size(bench: Robot, rng: random.Random) -> None:
    """A camera that changes its resolution, and back."""
    height, width = rng.choice([(240, 320), (480, 640), (359, 479)])
    for _ in range(3):
        image = np.resize(bench.next_image(), (height, width, 3))
        deal(bench, image_message(image, time.time_ns()), 'another_size')


@fault('stamp_zero', 'rejected')
def stamp_of_nothing(bench: Robot, rng: random.Random) -> None:
    """Stamps of 0, and others that are no time."""
    message = picture(bench)
    message.header.stamp.sec, message.header.stamp.nanosec = 0, 0
    deal(bench, message, 'stamp_zero')
    message.header.stamp.sec, message.header.stamp.nanosec = rng.choice(
        [(-5, 0), (5, 2**32 - 1), (-(2**31), 7)]
    )
    deal(bench, message, 'stamp_odd')


@fault('time_jump')
def stamps_go_back(bench: Robot, rng: random.Random) -> None:
    """A recording that starts anew."""
    now = time.time_ns()
    for stamp in (now, now - rng.randrange(SECOND, 10000 * SECOND)):
        deal(bench, image_message(bench.next_image(), stamp), 'stamps_go_back')


@fault('stamp_equal')
def stamps_stand_still(bench: Robot, rng: random.Random) -> None:
    """Several images of one moment."""
    stamp = time.time_ns()
    for _ in range(rng.randrange(2, 5)):
        deal(bench, image_message(bench.next_image(), stamp), 'stamps_stand_still')


@fault('stamp_ahead')
def clock_jumps(bench: Robot, rng: random.Random) -> None:
    """The camera's clock is set, far ahead and back."""
    ahead = rng.randrange(11 * SECOND, 10**6 * SECOND)
    for stamp in (time.time_ns() + ahead, time.time_ns() + ahead + SECOND // 15, time.time_ns()):
        deal(bench, image_message(bench.next_image(), stamp), 'clock_jumps')


@fault('frame_id_alternates')
def two_cameras(bench: Robot, rng: random.Random) -> None:
    """Two cameras publish on one topic."""
    other = rng.choice(['left', '', 'ü'])
    for index in range(rng.randrange(4, 8)):
        frame_id = (other, 'right')[index % 2]
        deal(bench, image_message(bench.next_image(), time.time_ns(), frame_id=frame_id), 'two_cameras')


@fault('overwritten', 'lost')
def overload(bench: Robot, rng: random.Random) -> None:
    """Images come as fast as they can be sent."""
    for _ in range(rng.randrange(20, 60)):
        bench.send(kind='overload')
    bench.spin(0.5)


@fault()
def camera_dies(bench: Robot, rng: random.Random) -> None:
    """The camera is gone and comes back, perhaps with another quality of service."""
    bench.unplug()
    bench.spin(rng.uniform(0.1, 3))
    bench.plug_in(rng.choice([RELIABLE, BEST_EFFORT]), rng.choice([1, 5]))
    bench.recovers()
    bench.plug_in()


@fault(dear=True)
def camera_is_killed(bench: Robot, rng: random.Random) -> None:
    """A camera's process is gone from one moment to the next, perhaps in the middle of an image."""
    with tempfile.TemporaryDirectory() as folder:
        size = rng.choice(['480x640', '1080x1920'])
        with Child('still_camera', [size, '--rate', '60', '--frames', '100000'], Path(folder)) as camera:
            before = bench.count('received')
            bench.wait(lambda: bench.count('received') > before + 5, 'images of the other camera')
            bench.spin(rng.uniform(0, 0.5))
            os.kill(camera.pid, signal.SIGKILL)
            bench.spin(0.5)


@fault('rejected', transport='compressed')
def damaged_jpeg(bench: Robot, rng: random.Random) -> None:
    """A JPEG that ends early, or whose bytes are others."""
    damage(bench, rng, '.jpg')


@fault('rejected', transport='compressed')
def damaged_png(bench: Robot, rng: random.Random) -> None:
    """The same of a PNG."""
    damage(bench, rng, '.png')


def damage(bench: Robot, rng: random.Random, suffix: str) -> None:
    """Send ten damaged files, of which most cannot be read, and one that is empty."""
    whole = cv2.imencode(suffix, bench.next_image())[1].tobytes()
    for kind in ('empty', *rng.choices(['cut', 'random', 'swapped'], k=10)):
        data = bytearray(whole[: rng.randrange(len(whole)) if kind == 'cut' else None])
        if kind != 'cut':
            begin = rng.randrange(len(whole) - 300)
            data[begin : begin + 300] = rng.randbytes(300)
        message = CompressedImage(format=suffix[1:], data=b'' if kind == 'empty' else bytes(data))
        message.header.stamp = ns_to_stamp(time.time_ns())
        deal(bench, message, f'damaged{suffix}')


@fault(dear=True)
def recorder_without_disk(bench: Robot, rng: random.Random) -> None:
    """The disk fills while a recorder writes: it ends with one line, and the node goes on."""
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / 'bag'
        words = ['-m', 'vss_ros.live.recorder', '/segmentation/mask', '/image_raw', '-o', str(bag)]
        most = rng.randrange(200, 4000)
        limited = ['sh', '-c', f'ulimit -f {most}; exec "$@"', 'sh', sys.executable, *words]
        recorder = subprocess.Popen(limited, stderr=subprocess.PIPE, text=True)
        try:
            bench.wait(lambda: bench.send() and recorder.poll() is not None, 'the recorder to end')
        finally:
            recorder.kill()
        said = recorder.communicate()[1].strip().splitlines()
        if recorder.returncode in {0, -9} or not said or 'Traceback' in ''.join(said):
            raise LostError(f'the recorder ended with {recorder.returncode}: {said}')


# What planners and operators do.


@fault()
def subscribers_come_and_go(bench: Robot, rng: random.Random) -> None:
    """Somebody looks at each output for a while."""
    for _ in range(3):
        names = rng.sample(['overlay', 'confidence', 'mask'], rng.randrange(1, 4))
        made = [
            bench.create_subscription(Image, f'/segmentation/{name}', lambda _: None, 1) for name in names
        ]
        for _ in range(rng.randrange(8)):
            deal(bench, picture(bench), 'good')
        for subscription in made:
            bench.destroy_subscription(subscription)


@fault('incompatible_subscribers')
def incompatible_subscriber(bench: Robot, rng: random.Random) -> None:
    """A planner asks for what is not offered."""
    profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    name = rng.choice(['mask', 'confidence', 'key_frame'])
    kind = bench.key_frame_type if name == 'key_frame' else Image
    made = bench.create_subscription(kind, f'/segmentation/{name}', lambda _: None, profile)
    bench.spin(0.6)
    bench.destroy_subscription(made)


@fault()
def wrong_parameters(bench: Robot, rng: random.Random) -> None:
    """Values out of bounds, of another type, or fixed by now; none may be taken."""
    wrong: list[dict[str, Any]] = [
        {'threshold': -1.0}, {'threshold': float('nan')}, {'threshold': 'much'}, {'interval': -3},
        {'interval': 10**12}, {'min_interval': 0}, {'model': 'other'}, {'size': '1x1'}, {'track': 'sideways'},
    ]  # fmt: skip
    given = rng.choice(wrong)
    if any(bench.set(**given)):
        raise LostError(f'{given} was taken')


@fault()
def live_parameters(bench: Robot, rng: random.Random) -> None:
    """What may be changed is changed while images come, and back."""
    taken = bench.set(interval=rng.randrange(2, 30)) + bench.set(min_interval=rng.randrange(1, 2))
    deal(bench, picture(bench), 'good')
    taken += bench.set(interval=0)
    if not all(taken):
        raise LostError('a good parameter was refused')


@fault()
def services(bench: Robot, rng: random.Random) -> None:
    """Key frames are asked for and the stream forgotten, in any order."""
    for _ in range(rng.randrange(1, 6)):
        bench.send()
        if not bench.ask(Trigger, rng.choice(['reset', 'request_key_frame'])).success:
            raise LostError('a service was refused by an active node')


@fault()
def deactivated(bench: Robot, rng: random.Random) -> None:
    """Down and up while images come."""
    lifecycle(bench, rng, 'deactivate', 'activate')


@fault()
def configured_anew(bench: Robot, rng: random.Random) -> None:
    """All the way down and up."""
    lifecycle(bench, rng, 'deactivate', 'cleanup', 'configure', 'activate')


def lifecycle(bench: Robot, rng: random.Random, *transitions: str) -> None:
    """Make transitions, with images before each."""
    for transition in transitions:
        for _ in range(rng.randrange(4)):
            bench.send()
        if not bench.change(transition):
            raise LostError(f'{transition} failed')
    bench.spin(0.5)


# What fails inside.


def _arm(part: str) -> Injection:
    def inject(bench: Robot, rng: random.Random) -> None:
        bench.set(fault=part)
        for _ in range(rng.randrange(10, 30)):
            deal(bench, picture(bench), 'good')

    return inject


for _name, _part, _counters in (
    ('slow_track_hangs', 'slow:hang', ('slow_track_errors',)),
    ('slow_track_fails', 'slow:error', ('slow_track_errors',)),
    ('slow_track_out_of_memory', 'slow:memory', ('slow_track_errors',)),
    ('out_of_memory', 'step:memory', ('errors',)),
    ('driver_fails', 'step:error', ('errors',)),
    ('decoder_hangs', 'decoder:hang_for_ever', ('hangs',)),
):
    FAULTS[_name] = Fault(_arm(_part), _counters, 'faulty_node')
