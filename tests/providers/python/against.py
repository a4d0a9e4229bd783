"""One provider against the running server: what its official library takes for genuine is accepted,
stored and delivered to the byte, and its tampered twin is refused by both.

HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN say where the server is.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from receiver import Receiver  # of tests/sdk/python

SERVER = os.environ["HOOKWRIGHT_TEST_URL"]
TOKEN = os.environ["HOOKWRIGHT_TEST_TOKEN"]


@dataclass(frozen=True)
class Request:
    """What a provider posts. Headers' names are in lower case."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Case:
    provider: str
    """Its id in the catalogue, which is a source's type."""
    library: str
    """The PyPI package, official for that provider."""
    signs: bool
    """Whether the library made the signature, rather than the provider's documented recipe."""
    secret: str
    """What the source is given."""
    request: Callable[[str], Request]
    """A genuine one for the URL."""
    accepts: Callable[[Request, str], object]
    """What the library says of one at the URL; it may raise."""
    has_id: bool
    """Whether the provider gives its events ids."""


def prove(case: Case) -> str:
    """The line that it answers is read by `cargo xtask providers`."""
    try:
        prove_with(Receiver(), case)
    except Exception as e:
        raise AssertionError(f"{case.provider} with {case.library}: {e}") from e
    library = f"{case.library}=={version(case.library)}"
    return "\t".join([case.provider, "PyPI", library, "signs" if case.signs else "judges"])


def prove_with(receiver: Receiver, case: Case) -> None:
    made = {"name": case.provider, "type": case.provider, "config": {"secret": case.secret}}
    source = api("POST", "/ingest/api/v1/source", made)
    api("POST", f"/ingest/api/v1/source/{source['id']}/endpoint", {"url": receiver.url})
    url = source["ingestUrl"]
    genuine = case.request(url)
    tampered = twin(genuine)
    assert judged(case, genuine, url), "the library refuses the genuine one"
    assert not judged(case, tampered, url), "the library accepts its twin"

    def messages() -> list[dict[str, object]]:
        return api("GET", f"/api/v1/app/{source['appId']}/msg/")["data"]

    expect("status for the tampered one", posted(url, tampered), 401)
    expect("messages after the tampered one", len(messages()), 0)
    expect("status for the genuine one", posted(url, genuine) // 100, 2)
    arrived = receiver.next("the event")
    expect("what the endpoint got", arrived.body, genuine.body)
    expect("ids of messages", [m["id"] for m in messages()], [arrived.headers["webhook-id"]])
    expect("status for the tampered one, again", posted(url, tampered), 401)
    expect("status for the repeated one", posted(url, genuine) // 100, 2)
    expect("messages after the repeated one", len(messages()), 1 if case.has_id else 2)


def twin(request: Request) -> Request:
    """The same request with one byte of its body changed."""
    body = request.body.replace(b"1999", b"1998", 1)
    assert body != request.body, "1999 must be in the body"
    return Request(request.headers, body)


def judged(case: Case, request: Request, url: str) -> bool:
    try:
        return case.accepts(request, url) is not False
    except Exception:
        return False


def expect(what: str, found: object, expected: object) -> None:
    assert found == expected, f"{what}: {found!r}, and not {expected!r}"


def posted(url: str, request: Request) -> int:
    try:
        with urllib.request.urlopen(asked("POST", url, request.headers, request.body)) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code


def api(method: str, path: str, body: object = None) -> dict:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(asked(method, SERVER + path, headers, data)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as e:
        raise AssertionError(f"{method} {path} is answered {e.code}: {e.read().decode()}") from e


def asked(
    method: str, url: str, headers: dict[str, str], data: bytes | None
) -> urllib.request.Request:
    return urllib.request.Request(url, method=method, headers=headers, data=data)
