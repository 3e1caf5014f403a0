"""Objects of an S3 server, as fsspec reaches them."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.acquisition import read_source
from retrue.sources.detection import detect_source


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A bucket `tables` on a server of this machine."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "key-4711")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "hush-4711")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("NO_PROXY", "*")
    client = boto3.client("s3")
    client.create_bucket(Bucket="tables")
    yield client
    client.close()
    server.stop()
    patch.undo()


def refusal(source: Source) -> str:
    with pytest.raises(DataError) as error:
        read_source("t", source, Path(), {})
    assert "\n" not in str(error.value)
    assert "hush" not in str(error.value)
    return str(error.value)


def test_an_object_is_read_and_typed_by_its_ending(s3: Any) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("t.csv", "a,b\n1,x\n")
    s3.put_object(Bucket="tables", Key="new/t.csv.zip", Body=packed.getvalue())
    s3.put_object(Bucket="tables", Key="new/t.jsonl", Body=b'{"a": 1, "b": "x"}\n')

    zipped, file = read_source("t", Source(url="s3://tables/new/t.csv.zip"), Path(), {})
    lines, _ = read_source("t", Source(url="s3://tables/new/t.jsonl"), Path(), {})

    assert zipped.to_dict("list") == {"a": [1], "b": ["x"]} == lines.to_dict("list")
    assert file.path is None
    assert file.where == "source t (s3://tables/new/t.csv.zip)"


def test_a_new_version_of_an_object_is_seen(s3: Any) -> None:
    source = Source(url="s3://tables/again.csv")
    for body in (b"a\n1\n", b"a\n2\n"):
        s3.put_object(Bucket="tables", Key="again.csv", Body=body)
        assert read_source("t", source, Path(), {})[0]["a"].tolist() == [int(body[2:3])]


def test_an_object_is_detected(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket="tables", Key="t.txt", Body=b"a|b\n1|x\n")

    source, _ = detect_source("s3://tables/t.txt", tmp_path)

    assert (source.url, source.delimiter) == ("s3://tables/t.txt", "|")


def test_an_object_that_changes_while_it_is_read_is_refused(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrue.sources import archives, remote_source

    s3.put_object(Bucket="tables", Key="moving.csv", Body=b"a\n1\n")
    real = archives.read_at_most

    def read_and_replace(stream: Any, max_mb: int, where: str) -> bytes:
        data = real(stream, max_mb, where)
        s3.put_object(Bucket="tables", Key="moving.csv", Body=b"a\n2\n")
        return data

    monkeypatch.setattr(remote_source, "read_at_most", read_and_replace)

    assert "changed while it was read" in refusal(Source(url="s3://tables/moving.csv"))


def test_what_cannot_be_read_is_one_line(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put_object(Bucket="tables", Key="large.csv", Body=b"a\n" + b"1\n" * (1 << 20))
    s3.put_object(Bucket="tables", Key="empty.csv", Body=b"")

    assert "none of that name" in refusal(Source(url="s3://tables/gone.csv"))
    assert "an object" in refusal(Source(url="s3://no-such-bucket/t.csv"))
    assert "at most 1 MB" in refusal(Source(url="s3://tables/large.csv", max_mb=1))
    assert "an empty file" in refusal(Source(url="s3://tables/empty.csv"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "network" in refusal(Source(url="s3://tables/t.txt"))


def test_a_store_without_its_driver_says_what_to_install() -> None:
    assert "install gcsfs" in refusal(Source(url="gs://bucket/t.csv"))
