"""Damage around the table: archives, links, addresses, other formats, databases, batches."""

import gzip
import http.server
import io
import json
import os
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import pandas as pd

from tests.damaged.faults import Fault, as_clean, doubles, refused, with_cell
from tests.damaged.plant import Plant
from tests.damaged.readings import ROWS_A_DAY, as_csv, readings
from tests.damaged.values import fahrenheit

CLEAN = readings()
TEXT = as_csv(CLEAN)


def at(name: str, content: Callable[[], bytes], **keys: Any) -> Callable[[Plant], None]:
    return lambda plant: plant.deliver(content(), name, **keys)


def source(**keys: Any) -> Callable[[Plant], None]:
    def damage(plant: Plant) -> None:
        plant.readings = keys

    return damage


def _zip(members: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


def _locked_zip() -> bytes:
    """Return an archive whose entry says that it is encrypted: bit 0 of its flags, kept twice."""
    data = bytearray(_zip({"readings.csv": TEXT}, zipfile.ZIP_STORED))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def _flipped_zip() -> bytes:
    data = bytearray(_zip({"readings.csv": TEXT}, zipfile.ZIP_STORED))
    data[len(data) // 2] ^= 1
    return bytes(data)


def _huge() -> str:
    return TEXT + "\n" * (3 << 20)


def _parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_parquet(out, index=False)
    return out.getvalue()


def _json_lines(change: Callable[[list[str]], None] = lambda lines: None) -> bytes:
    lines = CLEAN.to_json(orient="records", lines=True, force_ascii=False).splitlines()
    change(lines)
    return "\n".join([*lines, ""]).encode()


def _line(number: int, text: str) -> Callable[[list[str]], None]:
    return lambda lines: lines.__setitem__(number - 1, text)


def _nested(lines: list[str]) -> None:
    lines[4] = json.dumps({**json.loads(lines[4]), "load": {"low": 1, "high": 2}})


def _excel() -> bytes:
    out = io.BytesIO()
    CLEAN.to_excel(out, index=False)
    return out.getvalue()


def link_out_of_the_folder(plant: Plant) -> None:
    outside = plant.root.parent / "outside.csv"
    outside.write_text(TEXT)
    plant.deliver_batches({"a.csv": readings(days=5)})
    (plant.root / "batches" / "b.csv").symlink_to(outside)


def link_to_nothing(plant: Plant) -> None:
    (plant.root / "gone.csv").symlink_to(plant.root / "nowhere.csv")
    plant.readings = {"path": "gone.csv"}


def unreadable(plant: Plant) -> None:
    """Refused by the system; root may read whatever the file's mode says."""
    path, real = str(plant.root / "readings.csv"), io.open

    def denied(file: Any, *args: Any, **kwargs: Any) -> Any:
        if str(file) == path:
            raise PermissionError(13, "Permission denied", path)
        return real(file, *args, **kwargs)

    plant.patch.setattr(io, "open", denied)


def changes_while_read(plant: Plant) -> None:
    """Whenever the file is looked at, its writer adds a row a moment later."""
    path, real = plant.root / "readings.csv", os.fstat
    inode = path.stat().st_ino

    def watched(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if found.st_ino == inode:
            with path.open("a") as file:
                file.write(TEXT.splitlines(keepends=True)[-1])
        return found

    plant.patch.setattr(os, "fstat", watched)


def _database(plant: Plant, frame: pd.DataFrame, query: str) -> None:
    path = plant.root / "plant.db"
    connection = sqlite3.connect(path)
    frame.to_sql("readings", connection, index=False)
    connection.close()
    plant.readings = {"url": f"sqlite:///{path}", "query": query}


def sql(query: str, frame: pd.DataFrame = CLEAN) -> Callable[[Plant], None]:
    return lambda plant: _database(plant, frame, query)


def redirected_to_metadata(plant: Plant) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/readings.csv")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    plant.closing += [server.shutdown, server.server_close]
    plant.readings = {"url": f"http://127.0.0.1:{server.server_port}/readings.csv"}


_HALVES = {"a.csv": as_csv(CLEAN[: 5 * ROWS_A_DAY]), "b.csv": as_csv(CLEAN[5 * ROWS_A_DAY :])}


def batches(**changed: str) -> Callable[[Plant], None]:
    """The clean folder is taken in first; then the damaged files are added to it."""

    def damage(plant: Plant) -> None:
        plant.deliver_batches({**_HALVES})
        plant.prepare()
        plant.deliver_batches({f"{name}.csv": text for name, text in changed.items()})

    return damage


def becomes_a_folder(plant: Plant) -> None:
    plant.deliver_batches({**_HALVES})
    plant.main = "readings"


_NEXT = readings(first_day=10, days=2)
_SECOND = _HALVES["b.csv"]

FAULTS: list[Fault] = [
    refused("no file", source(path="absent.csv"), "absent.csv", "no such file"),
    refused("a folder for a file", source(path="configs"), "configs", "a folder"),
    refused("a link to nothing", link_to_nothing, "gone.csv", "no such file"),
    refused("a link out of the folder", link_out_of_the_folder, "b.csv", "leads out of it"),
    refused("no folder", source(folder="absent"), "absent"),
    refused("unreadable", unreadable, "readings.csv", "Permission denied"),
    refused("changes while it is read", changes_while_read, "readings.csv", "changed while"),
    refused(
        "gz cut short",
        at("r.csv.gz", lambda: gzip.compress(TEXT.encode())[:-2000]),
        "r.csv.gz",
        "gz",
    ),
    refused("gz that is none", at("r.csv.gz", TEXT.encode), "r.csv.gz", "gz"),
    refused(
        "gz of nothing", at("r.csv.gz", lambda: gzip.compress(b"")), "r.csv.gz", "an empty file"
    ),
    refused(
        "gz bomb",
        at("r.csv.gz", lambda: gzip.compress(_huge().encode()), max_mb=1),
        "r.csv.gz",
        "at most 1 MB",
    ),
    refused(
        "zip bomb", at("r.zip", lambda: _zip({"r.csv": _huge()}), max_mb=1), "r.zip", "at most 1 MB"
    ),
    refused("zip slip", at("r.zip", lambda: _zip({"../r.csv": TEXT})), "r.zip", "'../r.csv'"),
    refused(
        "zip slip of Windows", at("r.zip", lambda: _zip({"C:\\r.csv": TEXT})), "r.zip", "r.csv'"
    ),
    refused(
        "zip with an absolute name",
        at("r.zip", lambda: _zip({"/etc/r.csv": TEXT})),
        "r.zip",
        "'/etc/r.csv'",
    ),
    refused(
        "zip of two files",
        at("r.zip", lambda: _zip({"a.csv": TEXT, "b.csv": TEXT})),
        "r.zip",
        "2 files",
    ),
    refused("zip of nothing", at("r.zip", lambda: _zip({})), "r.zip", "0 files"),
    refused("zip cut short", at("r.zip", lambda: _zip({"r.csv": TEXT})[:-200]), "r.zip", "zip"),
    refused("zip with a flipped bit", at("r.zip", _flipped_zip), "r.zip", "CRC"),
    refused("locked zip", at("r.zip", _locked_zip), "r.zip", "encrypted"),
    refused(
        "a zip in a zip",
        at("r.zip", lambda: _zip({"r.csv.zip": _zip({"r.csv": TEXT}).decode("latin-1")})),
        "r.zip",
    ),
    as_clean("gz", at("r.csv.gz", lambda: gzip.compress(TEXT.encode()))),
    as_clean("zip", at("r.zip", lambda: _zip({"r.csv": TEXT}))),
    as_clean(
        "Parquet",
        at("r.parquet", lambda: _parquet(CLEAN)),
    ),
    as_clean("JSON lines", at("r.jsonl", _json_lines)),
    as_clean("Excel", at("r.xlsx", _excel)),
    as_clean("SQL", sql("SELECT * FROM readings ORDER BY load")),
    as_clean("a file that becomes a folder of batches", becomes_a_folder),
    refused("Parquet cut short", at("r.parquet", lambda: _parquet(CLEAN)[:-500]), "r.parquet"),
    refused(
        "Parquet cut in its middle",
        at("r.parquet", lambda: _parquet(CLEAN)[:9000] + _parquet(CLEAN)[-3000:]),
        "r.parquet",
    ),
    refused(
        "Parquet with lists",
        at(
            "r.parquet",
            lambda: _parquet(CLEAN.assign(load=pd.Series([[1.0, 2.0]] * len(CLEAN), dtype=object))),
        ),
        "r.parquet row",
        "column load",
        "nested",
    ),
    refused("CSV named Parquet", at("r.parquet", TEXT.encode), "r.parquet"),
    refused(
        "a broken JSON line",
        at("r.jsonl", lambda: _json_lines(_line(6, '{"reading": 5, "at"'))),
        "r.jsonl row 6",
    ),
    refused(
        "a JSON line that is no object",
        at("r.jsonl", lambda: _json_lines(_line(6, "[1, 2]"))),
        "r.jsonl row 6",
    ),
    refused("nested JSON", at("r.jsonl", lambda: _json_lines(_nested)), "r.jsonl row 5", "load"),
    refused("JSON lines cut short", at("r.jsonl", lambda: _json_lines()[:-30]), "r.jsonl row 960"),
    refused(
        "one JSON array", at("r.jsonl", lambda: CLEAN.to_json(orient="records").encode()), "r.jsonl"
    ),
    refused("Excel that is none", at("r.xlsx", TEXT.encode), "r.xlsx"),
    refused("Excel cut short", at("r.xlsx", lambda: _excel()[:-3000]), "r.xlsx"),
    refused("Excel without the sheet", at("r.xlsx", _excel, sheet="May"), "r.xlsx", "May"),
    refused("file://", source(url="file:///etc/passwd"), "file://"),
    refused("file:// in a chain", source(url="simplecache::file:///etc/passwd"), "readings"),
    refused(
        "a link-local address",
        source(url="http://169.254.169.254/r.csv"),
        "169.254.169.254",
        "link-local",
    ),
    refused(
        "a link-local address as a number", source(url="http://2852039166/r.csv"), "link-local"
    ),
    refused("a link-local address of IPv6", source(url="http://[fe80::1]/r.csv"), "link-local"),
    refused(
        "a link-local address in IPv6",
        source(url="http://[::ffff:169.254.169.254]/r.csv"),
        "link-local",
    ),
    refused("a redirect to a link-local address", redirected_to_metadata, "redirect", "169.254"),
    refused("a scheme nobody knows", source(url="gopher://example.org/r.csv"), "gopher://"),
    refused("a server that is not there", source(url="http://127.0.0.1:9/r.csv"), "127.0.0.1:9"),
    refused(
        "a URL with a variable that is not set",
        source(url="https://${NO_SUCH_HOST}/r.csv"),
        "NO_SUCH_HOST",
    ),
    refused("SQL that is wrong", sql("SELEC * FROM readings"), "source readings", "syntax error"),
    refused(
        "SQL of another table", sql("SELECT * FROM reading"), "source readings", "no such table"
    ),
    refused(
        "SQL that changes data",
        sql("DELETE FROM readings"),
        "source readings",
        "a statement without",
    ),
    refused("SQL without rows", sql("SELECT * FROM readings WHERE 0"), "source readings"),
    refused(
        "SQL of mixed types",
        sql("SELECT *, CASE WHEN reading = 3 THEN 'x' ELSE 1.5 END AS mixed FROM readings"),
        "row 4 column mixed",
        "'x'",
    ),
    refused("no database", source(url="sqlite:///absent.db", query="SELECT 1"), "absent.db"),
    as_clean("a batch under another name again", batches(c=_SECOND)),
    doubles(
        "a batch with a correction again",
        batches(c=with_cell(_SECOND, 5, "load", "40.25")),
        "key_delivered_once",
        "batches",
    ),
    refused(
        "a batch in Fahrenheit",
        batches(c=as_csv(_NEXT.assign(temperature=fahrenheit(_NEXT["temperature"])))),
        "c.csv column temperature",
    ),
    refused("a batch cut short", batches(c=as_csv(_NEXT)[:-20]), "c.csv row"),
    refused(
        "a batch without a column",
        batches(c=as_csv(_NEXT.drop(columns="mode"))),
        "c.csv row 1",
        "mode",
    ),
    refused(
        "a batch of a stuck sensor",
        batches(c=as_csv(_NEXT.assign(temperature=18.5))),
        "c.csv column temperature",
    ),
]
