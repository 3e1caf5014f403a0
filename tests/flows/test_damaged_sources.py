"""A damaged delivery stops a training with file, row and column; what was there is untouched."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from retrue import lake
from tests.flows.command_line import retrue
from tests.flows.harness import STACK, Stack
from tests.flows.project import DAMAGED

pytestmark = STACK


@dataclass(frozen=True)
class Delivery:
    """A source file that a test may damage."""

    path: Path
    whole: bytes


@pytest.fixture
def planes(loop: Stack) -> Iterator[Delivery]:
    """One of the sources, whole again afterwards."""
    path = loop.root / DAMAGED
    whole = path.read_bytes()
    yield Delivery(path, whole)
    path.write_bytes(whole)


def cut_short(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def empty(whole: bytes) -> bytes:
    return b""


def latin_1(whole: bytes) -> bytes:
    lines = whole.split(b"\n")
    lines[4] = lines[4].replace(b"BOEING", b"BO\xcbING").replace(b"AIRBUS", b"AIRB\xdcS")
    return b"\n".join(lines)


def without_seats(whole: bytes) -> bytes:
    return whole.replace(b"seats", b"places", 1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, ["planes.csv row 1", "cut short?"]),
        (empty, ["planes.csv", "an empty file"]),
        (latin_1, ["planes.csv row 5 column manufacturer", "UTF-8"]),
        (without_seats, ["planes.csv row 1", "the column seats"]),
    ],
)
def test_a_damaged_file_is_refused_and_the_champion_answers(
    loop: Stack, planes: Delivery, damage: object, words: list[str]
) -> None:
    assert callable(damage)
    loop.serve("damaged")
    before, newest = loop.counts("damaged"), lake.latest_version("damaged")
    planes.path.write_bytes(damage(planes.whole))
    assert planes.path.read_bytes() != planes.whole

    done = loop.start("train", problem="damaged", until="2013-02-01").wait()

    assert (done.state, done.error) == ("Failed", "DataError")
    assert all(word in done.message for word in words), done.message
    assert loop.counts("damaged") == before
    assert lake.latest_version("damaged") == newest
    assert newest is not None
    assert len(lake.read_version(newest, verify=True)) == newest.n_rows
    assert loop.answering("damaged") == loop.should_serve("damaged") == 1


def test_a_retraining_on_damaged_data_is_written_down_as_failed_and_may_be_tried_again(
    loop: Stack, planes: Delivery
) -> None:
    loop.serve("damaged")
    planes.path.write_bytes(b"")
    done = loop.start("retrain", problem="damaged", trigger_key="d", until="2013-02-01").wait()
    assert done.error == "DataError"
    (row,) = loop.retrainings("damaged")
    assert row.status == "failed"
    assert "an empty file" in row.details_json
    assert loop.answering("damaged") == 1


def test_the_command_line_ends_with_one_line_and_2(loop: Stack, planes: Delivery) -> None:
    planes.path.write_bytes(b"")
    done = retrue("train", "damaged", folder=loop.root)
    assert done.returncode == 2
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("retrue: ")
    assert "planes.csv: expected a table, found an empty file" in last
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
