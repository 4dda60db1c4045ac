"""Files of the Hub: whatever goes wrong on the way, the right bytes arrive or a clear error says why not."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.documents.reading import read_batches, read_texts
from corpora.errors import BadArgument, DamagedFile, TamizError, Unreachable
from corpora.hub import client, pacing, tree, tries
from corpora.manifest import MadeFrom
from pipelines.accounts import input_identities
from tests.loopback_hub import LoopbackHub
from tests.reading_hub import QUICK, gz, lines, parquet, read_from

NAME = "me/mc4"
FILES = {
    "es/a.json.gz": gz(lines(0, 400)),
    "es/b.parquet": parquet(1000, 400),
    "es/deep/c.jsonl": lines(2000, 5),
    "es/empty.jsonl": b"",
    "pt/d.jsonl": lines(3000, 5),
    "README.md": b"# mC4\n",
}
ROWS = {"a.json.gz": 400, "b.parquet": 400, "deep__c.jsonl": 5, "empty.jsonl": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LoopbackHub]:
    with LoopbackHub("lfs", tmp_path_factory.mktemp("hub"), page_size=3) as hub:
        hub.create("dataset", NAME, FILES)
        yield hub


@pytest.fixture
def hub(server, monkeypatch, tmp_path) -> LoopbackHub:
    server.clear_faults()
    server.clear()
    server._served.limits.clear()
    server._served.faults.fired.clear()
    read_from(server, monkeypatch, tmp_path)
    return server


def listed(pattern: str = "es/**") -> dict[str, WorkItem]:
    return {item.name: item for item in work_items([f"hf://datasets/{NAME}/{pattern}"])}


def texts(item: WorkItem) -> list[str]:
    batches = list(read_batches(item))
    assert [b.damage for b in batches if b.damage] == []
    return [text for batch in batches for text in batch.texts]


def local(tmp_path: Path, name: str) -> list[str]:
    path = tmp_path / Path(name).name
    path.write_bytes(FILES[name])
    (item,) = work_items([str(path)])
    return texts(item)


def kinds(hub: LoopbackHub) -> Counter[str]:
    return Counter(f"{request.method} {request.route}" for request in hub.requests)


def test_a_pattern_is_listed_at_a_commit_with_hashes(hub):
    items = listed()
    assert {name: len(texts(item)) for name, item in items.items()} == ROWS
    commit = hub.repository("dataset", NAME).branches["main"]
    assert {item.commit for item in items.values()} == {commit}
    assert items["a.json.gz"].etag == hashlib.sha256(FILES["es/a.json.gz"]).hexdigest()
    blob = b"blob %d\0" % len(FILES["es/deep/c.jsonl"]) + FILES["es/deep/c.jsonl"]
    assert items["deep__c.jsonl"].etag == hashlib.sha1(blob).hexdigest()
    assert [item.path for item in listed("es/?.json.gz").values()] == [f"hf://datasets/{NAME}/es/a.json.gz"]
    assert list(listed("[e]s/*")) == ["es__a.json.gz", "es__b.parquet", "es__empty.jsonl"]


def test_requests_are_few(hub):
    items = listed("es/*.gz")
    listed("es/*.gz")  # in two pages
    hub_only = [request for request in hub.requests if request.server == "hub"]
    assert [request.route for request in hub_only] == ["revision", "tree", "tree"]
    hub.clear()
    texts(items["a.json.gz"])
    assert [(request.server, request.status) for request in hub.requests] == [("hub", 307), ("cdn", 200)]
    names = [f"hf://datasets/{NAME}/{name}" for name in ("es/a.json.gz", "es/deep/c.jsonl", "pt/d.jsonl")]
    tree.forget()
    hub.clear()
    assert len(work_items(names)) == 3
    assert [request.route for request in hub.requests] == ["revision", "paths_info"]


@pytest.mark.parametrize("kind", ["status", "rate_limit", "reset", "cut", "slow", "stall", "flip", "short"])
@pytest.mark.parametrize("name", ["a.json.gz", "b.parquet", "deep__c.jsonl"])
def test_a_fault_on_the_way_changes_nothing(hub, tmp_path, kind, name):
    item = listed()[name]
    settings = {"seconds": 0.3 if kind == "slow" else 1.0}
    for _ in range(2):
        hub.fault("get", kind, **settings)
    assert texts(item) == local(tmp_path, item.path.removeprefix(f"hf://datasets/{NAME}/"))
    assert hub.fired_kinds()[kind] == (1 if kind == "slow" else 2)


@pytest.mark.parametrize("kind", ["ignore_range", "wrong_range"])
def test_a_range_that_was_not_asked_for_is_not_taken(hub, tmp_path, kind):
    item = listed()["a.json.gz"]
    hub.fault("get", "cut")
    hub.fault("get", kind)
    assert texts(item) == local(tmp_path, "es/a.json.gz")
    assert hub.fired_kinds() == {"cut": 1, kind: 1}
    hub.fault("get", kind, times=1000)
    hub.fault("get", "cut", times=1000, when=lambda asked: "Range" not in asked.headers)
    if kind == "ignore_range":
        assert texts(item) == local(tmp_path, "es/a.json.gz")  # the whole file is as good
    else:
        with pytest.raises(Unreachable, match="206 with another range than the one asked for; tried 6 times"):
            texts(item)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("status", "the server answers 503; tried 6 times, 0 of [0-9,]+ bytes are here"),
        ("reset", "tried 6 times"),
        ("stall", "nothing arrived for 0.5 s; tried 6 times"),
        ("flip", "its sha256 is [0-9a-f]{16}…, but the listing says .*, 3 times: a proxy .* nothing of it was used"),
        ("cut", "tried 6 times"),
    ],
)
def test_a_fault_that_stays_ends_in_one_line(hub, kind, said):
    item = listed()["b.parquet"]
    hub.fault("get", kind, times=1000)
    if kind == "cut":
        hub.fault("get", "ignore_range", times=1000)
    with pytest.raises(Unreachable, match=said) as ended:
        list(read_texts(item))
    assert f"{hub.url}/datasets/{NAME}/resolve/{item.commit}/es/b.parquet" in str(ended.value)
    assert "\n" not in str(ended.value)
    assert "signature" not in str(ended.value)


def test_an_interrupted_file_is_continued_not_begun_again(hub, tmp_path):
    item = listed()["a.json.gz"]
    hub.clear()
    hub.fault("get", "cut", times=2)
    assert texts(item) == local(tmp_path, "es/a.json.gz")
    gets = [
        request.headers.get("range", request.headers.get("Range"))
        for request in hub.requests
        if request.route == "get"
    ]
    assert gets[0] is None
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in gets[1:]]
    assert 0 < starts[0] < starts[1] < len(FILES["es/a.json.gz"])


@pytest.mark.parametrize(
    ("kind", "settings"), [("status", {}), ("reset", {}), ("cut", {}), ("stall", {}), ("rate_limit", {"seconds": 1})]
)
def test_listing_survives_faults(hub, kind, settings):
    hub.fault("api", kind, times=2, **settings)
    assert list(listed("es/*.gz")) == ["a.json.gz"]


def test_a_server_that_asks_for_patience_gets_it(hub, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(tries, "rest", waits.append)
    item = listed()["a.json.gz"]
    hub.fault("resolve", "rate_limit", seconds=7)
    hub.fault("resolve", "status", headers={"Retry-After": "3"})
    monkeypatch.setattr(client, "pace", pacing.Pace())
    monkeypatch.setattr(pacing, "rest", waits.append)
    monkeypatch.setattr(pacing.Pace, "told", lambda *_: None)
    texts(item)
    assert [int(wait) for wait in waits] == [7, 3]


def test_requests_are_paced_below_the_limits(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(pacing.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(pacing, "rest", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    pace, sent = pacing.Pace(), []
    for _ in range(1000):
        pace.wait("api", with_token=False)
        sent.append(clock[0])
        clock[0] += 0.01
    most = max(sum(begin <= at < begin + pacing.WINDOW for at in sent) for begin in sent)
    assert most == 450
    pace.told("api", {"ratelimit": '"api";r=0;t=1000000'})  # not for ever
    before = clock[0]
    pace.wait("api", with_token=True)
    assert clock[0] - before == pytest.approx(pacing.LONGEST_WAIT)


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("datasets/me/mc5/*.gz", BadArgument, "no dataset me/mc5, or it is private: .* `hf auth login`"),
        (f"datasets/{NAME}@v9/es/*", BadArgument, "find revision v9 .* has no such revision"),
        (f"datasets/{NAME}/fr/*", BadArgument, "no file matches this pattern"),
        (f"datasets/{NAME}/es/z.gz", BadArgument, "no file matches this pattern"),
        (f"datasets/{NAME}/es", BadArgument, "is a folder; name its files"),
        ("datasets/me/closed/*", TamizError, "gated: ask for access on its page .*, then log in with"),
        ("datasets/mc4", BadArgument, "names no repository of the Hub"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_in_a_line(hub, address, error, said):
    if "closed" in address and ("dataset", "me/closed") not in hub._state.repositories:
        hub.create("dataset", "me/closed", {"a.jsonl": b"{}"}, gated=True)
    with pytest.raises(error, match=said) as refused:
        work_items([f"hf://{address}"])
    assert "\n" not in str(refused.value)


def test_private_and_gated_repositories_with_a_token(hub, monkeypatch, tmp_path):
    hub.create("dataset", "me/private", {"a.jsonl": lines(0, 3)}, private=True)
    with pytest.raises(BadArgument, match="or it is private"):
        work_items(["hf://datasets/me/private/*.jsonl"])
    read_from(hub, monkeypatch, tmp_path, hub.token)
    (item,) = work_items(["hf://datasets/me/private/*.jsonl"])
    assert len(texts(item)) == 3
    assert hub.token.encode() not in pickle.dumps(item)
    read_from(hub, monkeypatch, tmp_path, hub.add_user("you"))
    hub.create("dataset", "me/closed2", {"a.jsonl": lines(0, 3)}, gated=True)
    with pytest.raises(TamizError, match="gated: ask for access"):
        [texts(item) for item in work_items(["hf://datasets/me/closed2/*.jsonl"])]
    read_from(hub, monkeypatch, tmp_path, "hf_wrongwrongwrong")
    with pytest.raises(TamizError) as refused:
        work_items(["hf://datasets/me/private/*.jsonl"])
    assert "wrongwrong" not in str(refused.value)


def test_the_token_goes_to_the_hub_alone(hub, monkeypatch, tmp_path):
    read_from(hub, monkeypatch, tmp_path, hub.token)
    texts(listed("es/*.gz")["a.json.gz"])
    tokens = {(r.server, any(hub.token in value for value in r.headers.values())) for r in hub.requests}
    assert tokens == {("hub", True), ("cdn", False)}


def test_without_a_network_it_ends_soon(monkeypatch, hub):
    hub.clear()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(client._Seen, "answer", False)
    monkeypatch.setattr(tries, "PATIENCE", replace(QUICK, tries=1000))
    with pytest.raises(Unreachable, match=r"127.0.0.1:9.*tried 3 times: check the network"):
        listed()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE is set"):
        listed()


def test_the_repository_moves_on(hub, tmp_path):
    """The commit is recorded, and is no part of the identity; other content is."""
    hub.create("dataset", "me/moving", {"a.jsonl": lines(0, 3)})
    pattern = "hf://datasets/me/moving{}/a.jsonl"

    def made_from(pattern: str) -> MadeFrom:
        tree.forget()
        inputs = input_identities(work_items([pattern]), tmp_path, {})
        return MadeFrom(stage="x", algorithm=1, settings={}, inputs=inputs)

    first = made_from(pattern.format(""))
    (item,) = work_items([pattern.format("")])
    hub.commit("dataset", "me/moving", {"README.md": b"# news\n"})
    second = made_from(pattern.format(""))
    assert first.inputs[0].commit == item.commit != second.inputs[0].commit
    assert first.fingerprint() == second.fingerprint()
    hub.commit("dataset", "me/moving", {"a.jsonl": lines(7, 3)})
    third = made_from(pattern.format(""))
    assert third.fingerprint() != first.fingerprint()
    assert third.changes_from(first).endswith(f": write @{item.commit} after the name of the repository")
    assert [text[:12] for text in texts(item)] == ["Documento 0:", "Documento 1:", "Documento 2:"]  # what was listed
    assert made_from(pattern.format(f"@{item.commit}")).fingerprint() == first.fingerprint()
    (at_commit,) = work_items([pattern.format(f"@{item.commit}")])
    assert at_commit.identity() == item.identity()


def test_the_cache_keeps_and_continues(hub, tmp_path, monkeypatch):
    home = tmp_path / "kept"
    monkeypatch.setenv("TAMIZ_HUB_CACHE", str(home))
    item = listed()["a.json.gz"]
    half = len(FILES["es/a.json.gz"]) // 2
    home.mkdir()
    (home / f"{item.etag}.part").write_bytes(FILES["es/a.json.gz"][:half])  # a killed process left it
    right = local(tmp_path, "es/a.json.gz")
    hub.clear()
    assert texts(item) == right
    (get,) = [request for request in hub.requests if request.route == "get"]
    assert f"bytes={half}-" in get.headers.values()
    hub.clear()
    assert texts(item) == right
    assert hub.requests == []
    assert [path.name for path in home.iterdir()] == [item.etag]
    data = bytearray(FILES["es/a.json.gz"])
    data[half] ^= 1
    (home / str(item.etag)).write_bytes(data)
    assert texts(item) == right  # a kept file that isn't right any more is fetched again
    assert (home / str(item.etag)).read_bytes() == FILES["es/a.json.gz"]


def test_a_look_ahead_takes_only_the_range_that_it_asked_for(hub):
    item = listed()["b.parquet"].at_a_glance()
    hub.fault("get", "ignore_range", times=1000)
    with pytest.raises(TamizError, match="without the range asked for"):
        list(
            read_batches(WorkItem(**{**item.asdict(), "size": item.size - 1}))
        )  # so that no answer is the whole file


@pytest.mark.usefixtures("hub")
def test_a_cache_of_fsspec_s_is_left_out():
    """It would fetch without checking."""
    (item,) = work_items([f"simplecache::hf://datasets/{NAME}/pt/*"])
    assert item.path == f"hf://datasets/{NAME}/pt/d.jsonl"


def test_a_tokenizer_and_a_model_come_checked(hub, monkeypatch, tmp_path, demo):
    """Faults on the way; then what is cached: used offline, and refused if it is damaged."""
    from corpora.encoding import load_encoder
    from tamiz.stages import Context
    from tamiz.stages.brought import brought_stage
    from tamiz.trainer import warm_start

    files = {path.name: path.read_bytes() for path in (demo / "gpt2").iterdir()}
    weights = {"config.json": b"{}", "model.safetensors": bytes(300_000), "pytorch_model.bin": b"no", "x/y.json": b""}
    first = hub.create("model", "me/gpt2", {**files, **weights})
    hub.commit("model", "me/gpt2", {"vocab.json": b"{}"})
    hub.fault("get", "mix", probability=0.3, times=10**6, seconds=0.1)
    name = f"me/gpt2@{first}"
    assert brought_stage(name, tmp_path / "out", Context()).state == "new"
    assert load_encoder(str(tmp_path / "out")).sha256 == load_encoder(str(demo / "gpt2")).sha256
    folder = warm_start.folder_of(name)
    assert (folder.name, (folder / "model.safetensors").read_bytes()) == (first, bytes(300_000))
    assert not (folder / "pytorch_model.bin").exists()
    hub.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert brought_stage(name, tmp_path / "again", Context()).state == "new"
    warm_start._download.cache_clear()
    assert warm_start.folder_of(name) == folder
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(bytes(299_999) + b"x")
    warm_start._download.cache_clear()
    with pytest.raises(DamagedFile, match="isn't what was fetched: remove"):
        warm_start.folder_of(name)
    assert hub.requests == []


def test_a_server_that_can_continue_nothing(hub, tmp_path):
    """416 to any range: the file is begun again."""
    item = listed()["a.json.gz"]
    hub.fault("get", "cut")
    hub.fault("get", "status", status=416, times=1000, when=lambda asked: "Range" in asked.headers)
    assert texts(item) == local(tmp_path, "es/a.json.gz")
    assert [fired.kind for fired in hub.fired] == ["cut", "status"]


def test_breaks_count_only_if_nothing_came_between(hub, tmp_path, monkeypatch):
    """A large file may break off more often than a small one."""
    monkeypatch.setattr(tries, "PROGRESS", 1)
    item = listed()["a.json.gz"]
    hub.fault("get", "cut", times=QUICK.tries + 2)
    assert texts(item) == local(tmp_path, "es/a.json.gz")
    assert hub.fired_kinds() == {"cut": QUICK.tries + 2}
