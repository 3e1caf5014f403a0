"""Files over HTTP: fetched whole, from nowhere the user did not mean."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.acquisition import read_source
from retrue.sources.detection import detect_source

CSV = b"a,b\n1,x\n2,y\n"
Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(
    body: bytes = CSV, status: int = 200, length: int | None = None, **headers: str
) -> Answer:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return write


class Site(ThreadingHTTPServer):
    """A server of answers by path, that notes what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                site.pages[self.path.partition("?")[0]](self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Quiet: a client that has seen enough hangs up."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "*")
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(url: str, **keys: object) -> pd.DataFrame:
    return read_source("t", Source.model_validate({"url": url} | keys), Path(), {})[0]


def refusal(url: str, **keys: object) -> str:
    with pytest.raises(DataError) as error:
        fetched(url, **keys)
    assert "\n" not in str(error.value)
    assert "source t (" in str(error.value)
    return str(error.value)


def test_a_file_is_fetched_and_typed_by_its_ending(site: Site) -> None:
    site.pages |= {"/t.csv": answer(), "/t.csv.gz": answer(gzip.compress(CSV))}

    frame, file = read_source("t", Source(url=f"{site.url}/t.csv"), Path(), {"b": "text"})

    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].dtype == "category"
    assert file.path is None
    assert fetched(f"{site.url}/t.csv.gz").equals(fetched(f"{site.url}/t.csv"))


def test_an_answer_packed_on_the_way_is_unpacked_within_the_limit(site: Site) -> None:
    bomb = gzip.compress(b"a\n" + b"0\n" * (2 << 20))
    site.pages["/t.csv"] = answer(gzip.compress(CSV), Content_Encoding="gzip")
    site.pages["/bomb.csv"] = answer(bomb, Content_Encoding="gzip")
    site.pages["/br.csv"] = answer(b"?", Content_Encoding="br")

    assert fetched(f"{site.url}/t.csv")["a"].tolist() == [1, 2]
    assert "at most 1 MB" in refusal(f"{site.url}/bomb.csv", max_mb=1)
    assert "found br" in refusal(f"{site.url}/br.csv")


def test_credentials_are_sent_and_never_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_KEY", "hush-4711")
    site.pages |= {"/t.csv": answer(), "/no.csv": answer(status=403)}
    host = site.url.removeprefix("http://")

    fetched(f"http://me:${{SITE_KEY}}@{host}/t.csv?token=${{SITE_KEY}}")
    message = refusal(f"http://me:${{SITE_KEY}}@{host}/no.csv?token=${{SITE_KEY}}")

    path, headers = site.seen[0]
    assert path == "/t.csv?token=hush-4711"
    assert headers["authorization"].startswith("Basic ")
    assert headers["host"] == host
    assert "HTTP 403" in message
    assert f"{site.url}/no.csv" in message
    assert "hush" not in message
    assert "me:" not in message


def test_five_redirects_are_followed_and_a_sixth_is_not(site: Site) -> None:
    for i in range(6):
        site.pages[f"/{i}"] = answer(b"", 302, Location=f"/{i + 1}")
    site.pages["/6"] = answer()

    assert fetched(f"{site.url}/1")["a"].tolist() == [1, 2]
    assert "at most 5 redirects" in refusal(f"{site.url}/0")


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/t.csv",
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/t.csv",
        "https://[fd00:ec2::254]/latest/",
        "https://[::ffff:169.254.169.254]/",
        "http://localhost:1/t.csv",
        "http://",
    ],
)
def test_a_redirect_elsewhere_is_not_followed(site: Site, target: str) -> None:
    site.pages["/t.csv"] = answer(b"", 302, Location=target)

    message = refusal(f"{site.url}/t.csv")

    assert any(word in message for word in ("redirect", "link-local")), message


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "0.0.0.0"])
def test_addresses_of_machine_services_are_refused(host: str) -> None:
    assert "link-local or a metadata service" in refusal(f"http://{host}/t.csv")


def test_a_name_that_resolves_to_a_metadata_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *rest: object, **keys: object) -> object:
        name = "169.254.169.254" if host == "data.example" else host
        return real(name, *rest, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    assert "169.254.169.254" in refusal("https://data.example/t.csv")


def test_the_connection_goes_to_the_address_that_was_checked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/t.csv"] = answer()
    port = int(site.url.rpartition(":")[2])
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, *rest: object, **keys: object) -> object:
        asked.append(host)
        name = "127.0.0.1" if host == "data.example" else host
        return real(name, *rest, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    assert len(fetched(f"http://data.example:{port}/t.csv")) == 2
    assert asked.count("data.example") == 1
    assert site.seen[0][1]["host"] == f"data.example:{port}"


def test_a_redirect_from_a_public_to_a_private_address_is_refused() -> None:
    from retrue.sources.network_addresses import checked_addresses

    assert checked_addresses("127.0.0.1", 80, "t", private=True) == ["127.0.0.1"]
    with pytest.raises(DataError, match="a private one"):
        checked_addresses("127.0.0.1", 80, "t", private=False)


def test_a_cut_an_empty_and_a_large_answer_are_refused(site: Site) -> None:
    site.pages |= {
        "/cut.csv": answer(length=len(CSV) + 9),
        "/none.csv": answer(b""),
        "/large.csv": answer(b"a\n" + b"1\n" * (1 << 20)),
    }

    assert "a whole answer" in refusal(f"{site.url}/cut.csv")
    assert "an empty file" in refusal(f"{site.url}/none.csv")
    assert "at most 1 MB" in refusal(f"{site.url}/large.csv", max_mb=1)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/t.csv",
        "local:///etc/passwd",
        "zip://t.csv::file:///tmp/t.zip",
        "simplecache::file:///etc/passwd",
        "reference://",
        "github://o:r@/t.csv",
    ],
)
def test_schemes_that_reach_this_machine_are_refused(url: str, tmp_path: Path) -> None:
    assert "a URL of http, https, s3" in refusal(url)
    with pytest.raises(DataError, match="a URL of http, https, s3"):
        detect_source(url if "://" in url else f"{url}://", tmp_path)


def test_a_server_that_is_not_there_is_one_line(site: Site) -> None:
    site.pages["/t.csv"] = answer()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    assert "ConnectError" in refusal(f"http://127.0.0.1:{port}/t.csv")
    assert "a host" in refusal("https://no-such-host.invalid/t.csv")


def test_a_url_is_detected(site: Site, tmp_path: Path) -> None:
    site.pages["/export"] = answer("도시;값\n서울;1\n부산;2\n".encode("cp949"))

    source, why = detect_source(f"{site.url}/export", tmp_path)

    assert (source.url, source.format) == (f"{site.url}/export", "csv")
    assert (source.delimiter, source.encoding) == (";", "cp949")
    assert why["encoding"].startswith("cp949: ")
    assert read_source("t", source, tmp_path, {})[0]["도시"].tolist() == ["서울", "부산"]
