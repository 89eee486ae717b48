"""Damaged MCAP files: never a traceback, never exit status 0, every complete chunk."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bag_parts import TOPICS, Recorded, contents, damage, parts, recovered, write_bag, write_foreign

from vss_ros.cli.main import main
from vss_ros.errors import VssError
from vss_ros.recordings.bags import open_bag, read_messages
from vss_ros.recordings.checked_bag import open_checked
from vss_ros.recordings.unpacking import CHUNK_LIMIT, expand

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bag_parts import Part

QUICK, ALL = 60, 1000
KINDS = ('own', 'foreign')


def info(path: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Run `vss bag info`; every status but 0 comes with a line that says why."""
    status = main(['bag', 'info', str(path)])
    errors = capsys.readouterr().err
    assert 'Traceback' not in errors
    assert errors.count('\n') == (status != 0)
    return status


def write_kind(folder: Path, kind: str, number: int) -> Path:
    """Write a bag and return its file."""
    if kind == 'own':
        return write_bag(folder / 'bag') / 'bag.mcap'
    return write_foreign(folder / 'bag.mcap', ('zstd', 'lz4', 'none')[number])


def fuzz(folder: Path, kind: str, rounds: int, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """Damage bags at random; returns how often what came."""
    tally = dict.fromkeys(('whole', 'partial', 'refused', 'chunks', 'nameless', 'doubtful'), 0)
    originals = []
    for number in range(3 if kind == 'foreign' else 1):
        (folder / str(number)).mkdir()
        blob = write_kind(folder / str(number), kind, number).read_bytes()
        originals.append((blob, contents(blob), *parts(blob)))
    file = folder / 'damaged.mcap'
    for seed in range(rounds):
        blob, everything, chunks, summary = originals[seed % len(originals)]
        damaged = damage(np.random.default_rng(seed), blob)
        file.write_bytes(damaged.blob)
        status, found = info(file, capsys), recovered(file)
        # Foreign files have no checksum over the names of programs and the like.
        assert status != 0 or (kind == 'foreign' and found == everything), seed
        assert (status == 2) == (not found), seed
        tally[('whole', 'partial', 'refused')[status]] += 1
        # Behind a damaged place the summary says where the next chunk is, if it is itself where it was.
        sound = damaged.blob[summary:] == blob[summary:]
        until = len(blob) if sound else min(start for start, _ in damaged.ranges)
        intact = [chunk for chunk in chunks if chunk.end <= until and damaged.spares(chunk.start, chunk.end)]
        tally['chunks'] += len(intact)
        wanted: set[Recorded] = set().union(*(chunk.messages for chunk in intact))
        if damaged.spares(chunks[0].start, chunks[0].end) or damaged.spares(summary, len(blob)):
            assert wanted <= found, seed
            assert len(found - everything) <= in_damaged_end(
                damaged.spares, chunks, len(file.read_bytes())
            ), seed
            tally['doubtful'] += bool(found - everything)
        else:  # Only the first chunk and the summary name the topics: the names may be lost with both.
            tally['nameless'] += bool(wanted - found)
    return tally


def in_damaged_end(spares: Callable[[int, int], bool], chunks: list[Part], size: int) -> int:
    """Count the messages of a chunk that is cut off and flipped too: for its beginning nothing vouches."""
    cut = [chunk for chunk in chunks if chunk.start < size < chunk.end]
    return sum(len(chunk.messages) for chunk in cut if not spares(chunk.start, size))


@pytest.mark.parametrize('kind', KINDS)
def test_random_cuts_and_flips(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = fuzz(tmp_path, kind, QUICK, capsys)
    assert tally['partial'] > QUICK / 2
    assert tally['chunks'] > QUICK


@pytest.mark.slow
@pytest.mark.parametrize('kind', KINDS)
def test_a_thousand_cuts_and_flips(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = fuzz(tmp_path, kind, ALL, capsys)
    print(kind, tally)
    assert tally['partial'] > ALL / 2
    assert tally['nameless'] + tally['doubtful'] < ALL / 20


def test_cuts_of_a_recording(tmp_path: Path, project_root: Path) -> None:
    blob = (project_root / 'test/data/street/street.mcap').read_bytes()
    everything, (chunks, _) = contents(blob), parts(blob)
    file = tmp_path / 'a.mcap'
    for size in np.linspace(0, len(blob) - 1, 12).astype(int).tolist():
        file.write_bytes(blob[:size])
        found = recovered(file)
        wanted: set[Recorded] = set().union(*(chunk.messages for chunk in chunks if chunk.end <= size))
        begun = [chunk for chunk in chunks if chunk.start < size < chunk.end]
        assert wanted <= found <= everything
        # Of the chunk in which the file ends there is as much as of its bytes, but for a block.
        for chunk in begun:
            share = (size - chunk.start) / (chunk.end - chunk.start)
            assert len(found - wanted) >= share * len(chunk.messages) - 20
            assert found - wanted <= chunk.messages
        if found:
            with open_checked(file) as bag:
                assert bag.partial


def test_a_damaged_length_costs_its_own_chunk(tmp_path: Path) -> None:
    file = write_foreign(tmp_path / 'a.mcap')
    chunks, _ = parts(blob := file.read_bytes())
    for byte in (1, 5, 8):  # of the length, which then points into the next chunk or far behind the file
        changed = bytearray(blob)
        changed[chunks[1].start + byte] ^= 2
        file.write_bytes(changed)
        assert recovered(file) == contents(blob) - chunks[1].messages


def test_an_index_that_points_far_behind_the_file(tmp_path: Path) -> None:
    file = write_foreign(tmp_path / 'a.mcap')
    chunks, summary = parts(blob := file.read_bytes())
    changed = bytearray(blob)
    changed[blob.index(chunks[1].start.to_bytes(8, 'little'), summary) + 7] ^= 0x80
    file.write_bytes(changed)
    assert recovered(file) == contents(blob)
    with open_checked(file) as bag:
        assert 'without a readable summary' in (bag.partial or '')


def test_statistics_that_count_otherwise(tmp_path: Path) -> None:
    file = write_foreign(tmp_path / 'a.mcap')
    _, summary = parts(blob := file.read_bytes())
    changed = bytearray(blob)
    # Messages, then schemas, are what the statistics begin with; a checksum of 0 means none.
    changed[blob.index((16).to_bytes(8, 'little') + (1).to_bytes(2, 'little'), summary)] = 17
    changed[-12:-8] = bytes(4)
    file.write_bytes(changed)
    with open_checked(file) as bag:
        assert bag.partial == 'a.mcap: the statistics count 17 messages, not 16'


def test_as_a_process(tmp_path: Path) -> None:
    file = write_bag(tmp_path / 'bag') / 'bag.mcap'
    blob, statuses = file.read_bytes(), []
    for content in (blob, blob[:-30], blob[: len(blob) // 2], blob[:20], b''):
        file.write_bytes(content)
        command = [sys.executable, '-m', 'vss_ros.cli.main', 'bag', 'info', str(tmp_path / 'bag')]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        statuses.append(done.returncode)
        assert 'Traceback' not in done.stderr
        assert ('bag.mcap: ' in done.stderr) == (content != blob)
    assert statuses == [0, 1, 1, 2, 2]


@pytest.mark.parametrize('compression', ['none', 'lz4', 'zstd'])
@pytest.mark.parametrize('chunks', [True, False])
@pytest.mark.parametrize('checksum', [True, False])
def test_nothing_is_wrong_with_whole_files(
    compression: str, chunks: bool, checksum: bool, tmp_path: Path
) -> None:
    file = write_foreign(tmp_path / 'a.mcap', compression, chunks=chunks, checksum=checksum)
    with open_checked(file) as bag:
        assert bag.partial is None
        assert bag.message_count == 16
        assert [(c.topic, c.msgcount) for c in bag.connections] == [(topic, 8) for topic in TOPICS]
        assert (bag.start_time, bag.end_time) == (10**9, 17 * 10**8 + 1)
    assert recovered(file) == contents(file.read_bytes())


def test_messages_come_in_the_order_of_time_and_again(tmp_path: Path) -> None:
    # The footer is damaged, so that rosbags refuses the copy.
    file = write_foreign(tmp_path / 'a.mcap', shuffled=True)
    blob = file.read_bytes()
    (tmp_path / 'b.mcap').write_bytes(blob[:-8])
    with open_bag(file) as reader, open_checked(tmp_path / 'b.mcap') as bag:
        told = [(c.topic, t, d) for c, t, d in read_messages(reader, list(reader.connections))]
        assert [t for _, t, _ in told] != sorted({t for _, t, _ in told})
        first = read_messages(bag, bag.connections)
        next(first)
        again = [(c.topic, t, d) for c, t, d in read_messages(bag, bag.connections)]
        assert again == told
        assert len(list(first)) == len(told) - 1
        (mask,) = [c for c in bag.connections if c.topic == TOPICS[1]]
        assert [m[1:] for m in told if m[0] == TOPICS[1]] == [m[1:] for m in read_messages(bag, [mask])]


def test_every_byte_of_our_own_file_is_under_a_checksum(tmp_path: Path) -> None:
    file = write_bag(tmp_path / 'bag') / 'bag.mcap'
    blob = file.read_bytes()
    assert contents(blob) == recovered(file)  # Foxglove's reader compares checksums too
    chunks, summary = parts(blob)
    for position in {
        0,
        9,
        30,
        chunks[0].start,
        chunks[-1].end,
        summary - 13,
        summary - 1,
        summary,
        len(blob) - 1,
    }:
        changed = bytearray(blob)
        changed[position] ^= 1
        file.write_bytes(changed)
        with suppress(VssError), open_checked(file) as checked:
            assert checked.partial, position


def test_topics_are_named_by_a_damaged_chunk_where_nothing_else_names_them(tmp_path: Path) -> None:
    file = write_foreign(tmp_path / 'a.mcap', 'none')
    chunks, _ = parts(blob := file.read_bytes())
    changed = bytearray(blob[: chunks[2].end])
    changed[chunks[0].end - 5] ^= 1
    file.write_bytes(changed)
    assert recovered(file) == chunks[1].messages | chunks[2].messages


def test_messages_outside_of_chunks(tmp_path: Path) -> None:
    blob = write_foreign(tmp_path / 'a.mcap', chunks=False, checksum=True).read_bytes()
    everything, file = contents(blob), tmp_path / 'b.mcap'
    for seed in range(30):
        rng = np.random.default_rng(seed)
        changed = bytearray(blob)
        changed[int(rng.integers(len(blob)))] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        with open_checked(file) as bag:
            assert bag.partial
        assert len(everything - recovered(file)) <= 1
    file.write_bytes(blob[: len(blob) // 2])
    assert 6 <= len(recovered(file)) <= 8
    assert recovered(file) <= everything


def test_a_chunk_may_not_explode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_foreign(tmp_path / 'a.mcap')
    chunks, _ = parts(blob := file.read_bytes())
    size = CHUNK_LIMIT + 1000
    bomb = chunk_of_zeros(size)
    assert len(bomb) < 2**16
    file.write_bytes(blob[: chunks[1].start] + bomb + blob[chunks[1].end :])
    assert info(file, capsys) == 2
    with pytest.raises(VssError, match=f'chunks of at most {CHUNK_LIMIT} bytes, got one of {size}'):
        open_checked(file).__enter__()


def chunk_of_zeros(size: int) -> bytes:
    """Make a chunk that is all that it says."""
    compressor = zstd.ZstdCompressor()
    whole, rest = divmod(size, 2**20)
    data = b''.join(compressor.compress(bytes(2**20)) for _ in range(whole))
    data += compressor.compress(bytes(rest)) + compressor.flush()
    body = struct.pack('<QQQII', 0, 0, size, 0, 4) + b'zstd' + struct.pack('<Q', len(data)) + data
    return b'\6' + struct.pack('<Q', len(body)) + body


def test_a_chunk_that_only_claims_to_be_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_foreign(tmp_path / 'a.mcap')
    chunks, summary = parts(blob := file.read_bytes())
    changed, huge = bytearray(blob), (5 * 2**30).to_bytes(8, 'little')
    changed[chunks[1].start + 25 : chunks[1].start + 33] = huge
    file.write_bytes(changed)
    # The head alone may be damaged: the other chunks are given.
    assert info(file, capsys) == 1
    assert recovered(file) == contents(blob) - chunks[1].messages
    # Head and index agree: it is meant so. The index names the chunk's position third and its size last.
    index = blob.index(chunks[1].start.to_bytes(8, 'little'), summary) - 16
    end = index + int.from_bytes(blob[index - 8 : index], 'little')
    changed[end - 8 : end] = huge
    file.write_bytes(changed)
    assert info(file, capsys) == 2


def test_decompression_is_bounded() -> None:
    bomb = zstd.compress(bytes(2**28))
    assert len(bomb) < 2**16
    raw, whole = expand(bomb, 'zstd', 1000)
    assert len(raw) == 1001
    assert not whole
    # A bomb is refused before much more than the limit is held.
    bomb = zstd.compress(bytes(3 * CHUNK_LIMIT))
    tracemalloc.start()
    raw, whole = expand(bomb, 'zstd', CHUNK_LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(raw) == CHUNK_LIMIT + 1
    assert not whole
    assert peak < 1.2 * CHUNK_LIMIT


def test_what_a_killed_recorder_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_bag(tmp_path / 'bag')
    (bag / 'metadata.yaml').unlink()
    assert info(bag, capsys) == 1
    assert len(recovered(bag)) == 16
    file = bag / 'bag.mcap'
    file.rename(bag / 'bag_10.mcap')
    shutil.copy(bag / 'bag_10.mcap', bag / 'bag_9.mcap')
    with open_checked(bag) as checked:
        assert checked.message_count == 32
    (bag / 'picture.png').write_text('no longer a bag')
    assert main(['bag', 'make', str(bag), '-o', str(tmp_path / 'made')]) == 2
