"""The Hub on the loopback: the real clients work with it, and each of its faults does what it says."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.loopback_hub import LoopbackHub
from tests.loopback_hub.card_rules import problems, remarks
from tests.loopback_hub.faults import KINDS

BYTES = bytes(range(256)) * 40
# What a publisher and a reader do, with the clients that they have. Prints one JSON object.
CLIENT = """
import json, pathlib, sys
import pyarrow as pa, pyarrow.parquet as pq
from datasets import load_dataset
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, HfFileSystem, snapshot_download

api, said, repo = HfApi(), {}, dict(repo_id="me/x", repo_type="dataset")
said["urls"] = [api.create_repo(**repo), api.create_repo(**repo, exist_ok=True)]
up = pathlib.Path("up")
for split, number in (("train", 0), ("train", 1), ("validation", 0)):
    (up / split).mkdir(parents=True, exist_ok=True)
    rows = pa.table({"text": [f"{split} {number} {row}" for row in range(50)]})
    pq.write_table(rows, up / split / f"{number}.parquet")
(up / "README.md").write_text("---\\nlanguage: es\\nlicense: odc-by\\n---\\n")
first = api.upload_folder(**repo, folder_path=up)
adds = [CommitOperationAdd("more/a.bin", bytes(range(256)) * 999), CommitOperationAdd("more/b.bin", b"\\0b")]
api.preupload_lfs_files(**repo, additions=adds)
said["before"] = api.dataset_info("me/x").sha == first.oid
second = api.create_commit(**repo, operations=[*adds, CommitOperationDelete("train/1.parquet")], commit_message="two")
said["head"] = second.oid
try:
    again = [CommitOperationAdd("more/c.bin", b"\\0c")]
    api.create_commit(**repo, operations=again, commit_message="stale", parent_commit=first.oid)
except Exception as error:
    said["stale"] = error.response.status_code
root = pathlib.Path(snapshot_download(**repo))
said["files"] = {p.relative_to(root).as_posix(): p.read_bytes().hex() for p in root.rglob("*") if p.is_file()}
fs = HfFileSystem()
said["glob"] = sorted(fs.glob("datasets/me/x/*/*.parquet"))
with fs.open("datasets/me/x/more/a.bin", block_size=1000) as file:
    file.seek(100_000)
    said["range"] = file.read(500).hex()
for streaming in (True, False):
    rows = load_dataset("me/x", split="train", streaming=streaming)
    said[f"streaming {streaming}"] = [row["text"] for row in rows]
json.dump(said, sys.stdout)
"""


@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_the_real_clients_publish_and_read(way, tmp_path):
    with LoopbackHub(way, tmp_path, page_size=3) as hub:
        run = [sys.executable, "-c", CLIENT]
        env = hub.environment(USE_TORCH="0")  # datasets imports torch otherwise
        ran = subprocess.run(run, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stderr
        said = json.loads(ran.stdout)
        assert said["urls"] == [f"{hub.url}/datasets/me/x"] * 2
        assert said["before"], "contents alone change nothing"
        assert said["head"] == hub.commits("dataset", "me/x")[0].sha
        assert said["stale"] == 412
        files = hub.files("dataset", "me/x")
        assert said["files"].pop(".gitattributes")
        assert said["files"] == {path: content.hex() for path, content in files.items()}
        assert files["more/a.bin"] == bytes(range(256)) * 999
        assert said["glob"] == ["datasets/me/x/train/0.parquet", "datasets/me/x/validation/0.parquet"]
        assert said["range"] == files["more/a.bin"][100_000:100_500].hex()
        assert said["streaming True"] == said["streaming False"] == [f"train 0 {row}" for row in range(50)]
        assert [commit.title for commit in hub.commits("dataset", "me/x")][::2] == ["two", "initial commit"]
        assert {request.status for request in hub.requests} <= {200, 206, 302, 307, 404, 409, 412}
        assert any("cursor=" in request.path for request in hub.requests)
        routes = {request.route for request in hub.requests}
        assert ("lfs_put" in routes, "xet_token" in routes) == (way == "lfs", way == "xet")
        for sha256 in (hashlib.sha256(content).hexdigest() for path, content in files.items() if path != "README.md"):
            status, _, body = get(f"{hub.cdn}/objects/{sha256}?signature=forged")
            assert (status, b"SignatureDoesNotMatch" in body) == (403, True)


@pytest.fixture
def hub(tmp_path) -> Iterator[LoopbackHub]:
    with LoopbackHub("lfs", tmp_path) as hub:
        hub.create("dataset", "me/x", {"a.txt": b"text " * 2000, "data/b.bin": BYTES})
        yield hub


def get(
    url: str, headers: dict[str, str] | None = None, method: str = "GET", body: object = None, seconds: float = 5
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (in lower case) and body, without following redirects."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=seconds)
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    try:
        connection.request(method, f"{parts.path}?{parts.query}", content, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def token(hub: LoopbackHub) -> dict[str, str]:
    return {"Authorization": f"Bearer {hub.token}"}


def test_content_comes_as_from_the_hub(hub):
    head = hub.commits("dataset", "me/x")[0].sha
    for revision in ("main", head, head[:8], "refs%2Fheads%2Fmain"):
        status, headers, body = get(f"{hub.url}/datasets/me/x/resolve/{revision}/a.txt")
        assert (status, headers["x-repo-commit"], body) == (200, head, b"text " * 2000)
    status, headers, _ = get(f"{hub.url}/datasets/me/x/resolve/main/data/b.bin", method="HEAD")
    assert (status, headers["x-linked-size"]) == (307, str(len(BYTES)))
    assert headers["x-linked-etag"] == f'"{hashlib.sha256(BYTES).hexdigest()}"'
    link, etag = headers["location"], headers["x-linked-etag"]
    assert link.startswith(hub.cdn)
    assert get(link, token(hub))[0] == 400, "a token must not reach the CDN"
    assert get(link)[2] == BYTES
    for asked, stated, expected in (
        ("0-9", "0-9", BYTES[:10]),
        ("9-", "9-10239", BYTES[9:]),
        ("-4", "10236-10239", BYTES[-4:]),
    ):
        status, headers, body = get(link, {"Range": f"bytes={asked}", "If-Range": etag})
        assert (status, headers["content-range"], body) == (206, f"bytes {stated}/{len(BYTES)}", expected)
    assert get(link, {"Range": "bytes=10240-"})[0] == 416
    assert get(link, {"Range": "bytes=5-9", "If-Range": '"older"'})[:3:2] == (200, BYTES)
    for path, code in (("me/x/resolve/main/no", "EntryNotFound"), ("me/x/resolve/no/a", "RevisionNotFound")):
        assert get(f"{hub.url}/datasets/{path}")[1]["x-error-code"] == code


def test_who_may_read_and_write(hub):
    other = {"Authorization": f"Bearer {hub.add_user('ana')}"}
    hub.create("dataset", "me/secret", {"a.txt": b"a"}, private=True)
    hub.create("dataset", "me/gated", {"a.txt": b"a"}, gated=True)

    def seen(name: str, headers: dict[str, str] | None) -> tuple[int, str | None]:
        status, said, _ = get(f"{hub.url}/datasets/me/{name}/resolve/main/a.txt", headers)
        return status, said.get("x-error-code")

    assert [seen("secret", one) for one in (None, other, token(hub))] == [
        (401, "RepoNotFound"),
        (404, "RepoNotFound"),
        (200, None),
    ]
    assert [seen("gated", one) for one in (None, other)] == [(401, "GatedRepo"), (403, "GatedRepo")]
    hub.grant("dataset", "me/gated", "ana")
    assert [seen("gated", one) for one in (other, token(hub))] == [(200, None)] * 2
    assert seen("x", {"Authorization": "Bearer hf_wrong"})[0] == 401
    commit = b'{"key": "header", "value": {"summary": "s"}}'
    url = f"{hub.url}/api/datasets/me/x/commit/main"
    assert [get(url, one, "POST", commit)[0] for one in (None, other, token(hub))] == [401, 403, 200]


def test_a_commit_is_whole_or_nothing(hub):
    """Branches and pull requests, too: through the real client in this process."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api, repo = HfApi(endpoint=hub.url, token=hub.token), {"repo_id": "me/x", "repo_type": "dataset"}
    before = hub.files("dataset", "me/x")
    header = {"key": "header", "value": {"summary": "s"}}
    good = {"key": "file", "value": {"path": "new.txt", "content": "YQ==", "encoding": "base64"}}
    missing = {"key": "lfsFile", "value": {"path": "c.bin", "algo": "sha256", "oid": "0" * 64, "size": 3}}
    outside = {"key": "file", "value": {"path": "../a", "content": "YQ=="}}
    card = {"key": "file", "value": {"path": "README.md", "content": "LS0tCmxpY2Vuc2U6IG5vCi0tLQo="}}
    for bad in (missing, outside, card, {"key": "deletedFile", "value": {"path": "no"}}):
        body = "\n".join(map(json.dumps, [header, good, bad])).encode()
        assert get(f"{hub.url}/api/datasets/me/x/commit/main", token(hub), "POST", body)[0] in (400, 404)
    assert hub.files("dataset", "me/x") == before

    adds = [CommitOperationAdd("new.txt", b"a"), CommitOperationDelete("data/", is_folder=True)]
    pull = api.create_commit(**repo, operations=adds, commit_message="by pull", create_pr=True)
    assert pull.pr_num == 1
    assert [(one.num, one.status) for one in api.get_repo_discussions("me/x", repo_type="dataset")] == [(1, "open")]
    assert hub.files("dataset", "me/x") == before
    assert hub.files("dataset", "me/x", "refs/pr/1").keys() == {"a.txt", "new.txt"}
    hub.commit("dataset", "me/x", {"meanwhile.txt": b"m"})
    api.merge_pull_request(**repo, discussion_num=1)
    assert hub.files("dataset", "me/x").keys() == {"a.txt", "new.txt", "meanwhile.txt"}
    assert api.get_discussion_details(**repo, discussion_num=1).status == "merged"

    api.create_branch(**repo, branch="tamiz/run")
    api.create_commit(**repo, operations=[CommitOperationAdd("c", b"c")], commit_message="c", revision="tamiz/run")
    assert [b.name for b in api.list_repo_refs(**repo).branches] == ["main", "tamiz/run"]
    assert {f.path for f in api.list_repo_tree(**repo, revision="tamiz/run")} >= {"c", "new.txt"}
    assert "c" not in hub.files("dataset", "me/x")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_branch(**repo, branch="tamiz/run")
    api.delete_branch(**repo, branch="tamiz/run")
    assert len(api.list_repo_commits(**repo)) == len(hub.commits("dataset", "me/x")) == 4
    assert [f.path for f in api.get_paths_info(**repo, paths=["new.txt", "no"], expand=True)] == ["new.txt"]
    api.delete_repo(**repo)
    assert not api.repo_exists(**repo)


def test_large_files_go_in_parts(tmp_path, monkeypatch):
    from huggingface_hub import CommitOperationAdd, HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with LoopbackHub("lfs", tmp_path, part_bytes=3000) as hub:
        hub.create("model", "me/m")
        api = HfApi(endpoint=hub.url, token=hub.token)
        for _ in range(2):
            api.create_commit("me/m", [CommitOperationAdd("w.bin", BYTES)], commit_message="w")
        assert hub.files("model", "me/m") == {"w.bin": BYTES}
        lengths = [request.length for request in hub.requests if request.route == "lfs_put"]
        assert sorted(lengths) == [1240, 3000, 3000, 3000]
        assert hub.stored_bytes() == len(BYTES)


def test_git_gives_the_same_ids(hub, tmp_path):
    """The ids of files and folders are git's own."""
    run = ["git", "-C", str(tmp_path / "repo")]
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    hub.commit("dataset", "me/x", {"data.txt": b"d", "data/deep/c.txt": b"c", "data-x/e.txt": b"e"})
    for path, blob in hub.commits("dataset", "me/x")[0].tree.items():
        there = tmp_path / "repo" / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(blob.pointer if blob.content is None else blob.content)
    (tmp_path / "repo" / ".git" / "info" / "attributes").write_text("* -filter -text\n")
    subprocess.run([*run, "add", "-A"], check=True)
    root = subprocess.run([*run, "write-tree"], check=True, capture_output=True, text=True).stdout.strip()
    shown = subprocess.run([*run, "ls-tree", "-r", "-t", root], check=True, capture_output=True, text=True).stdout
    expected = {line.split("\t")[1]: line.split()[2] for line in shown.splitlines()}
    _, _, body = get(f"{hub.url}/api/datasets/me/x/tree/main?recursive=true")
    assert {entry["path"]: entry["oid"] for entry in json.loads(body)} == expected


def struck(hub: LoopbackHub, kind: str, **settings: float) -> object:
    """What a plain client sees of a content under a fault: (status, headers, body) or the error's class."""
    link = get(f"{hub.url}/datasets/me/x/resolve/main/data/b.bin")[1]["location"]
    hub.fault("get", kind, **settings)
    try:
        return get(link, {"Range": "bytes=100-"}, seconds=0.3)
    except (OSError, http.client.HTTPException) as error:
        return type(error)


def test_each_fault_of_content_is_as_stated(hub):
    right = BYTES[100:]
    status, headers, _ = struck(hub, "status", status=500)
    assert status == 500
    status, headers, _ = struck(hub, "rate_limit", seconds=7)
    assert (status, headers["ratelimit"]) == (429, '"resolvers";r=0;t=7')
    assert struck(hub, "cut") is http.client.IncompleteRead
    assert struck(hub, "reset") is ConnectionResetError
    assert struck(hub, "lost") is http.client.RemoteDisconnected
    assert struck(hub, "stall", seconds=5) is TimeoutError
    began = time.monotonic()
    assert struck(hub, "slow", seconds=0.4)[2] == right
    assert time.monotonic() - began >= 0.4
    _, _, body = struck(hub, "flip")
    assert [left ^ it for left, it in zip(body, right, strict=True) if left != it] == [1]
    status, headers, body = struck(hub, "short")
    assert (status, body) == (206, right[: len(right) // 2])
    status, headers, body = struck(hub, "ignore_range")
    assert (status, body, "content-range" in headers) == (200, BYTES, False)
    status, headers, body = struck(hub, "wrong_range")
    assert (status, headers["content-range"], body) == (206, "bytes 99-10239/10240", BYTES[99:])
    assert hub.fired_kinds() == dict.fromkeys(KINDS, 1)
    assert get(f"{hub.url}/datasets/me/x/resolve/main/a.txt")[0] == 200, "none is left"


@pytest.mark.parametrize(
    ("kind", "applied"), [("status", False), ("rate_limit", False), ("reset", False), ("lost", True), ("cut", True)]
)
def test_a_struck_commit_is_applied_or_not(hub, kind, applied):
    body = b'{"key": "header", "value": {"summary": "s"}}\n{"key": "file", "value": {"path": "n", "content": "YQ=="}}'
    hub.fault("commit", kind)
    try:
        status = get(f"{hub.url}/api/datasets/me/x/commit/main", token(hub), "POST", body)[0]
    except (OSError, http.client.HTTPException):
        status = None
    assert status == {"status": 503, "rate_limit": 429}.get(kind)
    assert ("n" in hub.files("dataset", "me/x")) == applied
    assert hub.requests[-1].fault == kind


def test_faults_by_chance_and_by_predicate_are_repeatable(hub):
    url = f"{hub.url}/api/datasets/me/x/tree/main"

    def statuses(seed: int) -> list[int]:
        hub.clear_faults()
        hub.fault("api", "status", probability=0.3, seed=seed)
        return [get(f"{url}?n={number}")[0] for number in range(40)]

    assert statuses(1) == statuses(1) != statuses(2)
    assert 4 <= statuses(1).count(503) <= 20
    hub.calm()
    assert (hub.fired, hub.requests) == ([], [])
    hub.fault("tree", "status", times=2, when=lambda asked: asked.first("n") == "7")
    assert [get(f"{url}?n={number}")[0] for number in (6, 7, 7, 7)] == [200, 503, 503, 200]
    with pytest.raises(ValueError, match="flop"):
        hub.fault("get", "flop")


def test_requests_past_the_limit_get_429_until_the_window_ends(hub):
    hub.limit("api", 2, seconds=0.5)
    url = f"{hub.url}/api/datasets/me/x"
    answers = [get(url) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert [headers["ratelimit"] for _, headers, _ in answers] == ['"api";r=1;t=1', '"api";r=0;t=1', '"api";r=0;t=1']
    assert answers[0][1]["ratelimit-policy"] == '"fixed window";"api";q=2;w=1'
    assert get(f"{hub.url}/datasets/me/x/resolve/main/a.txt")[0] == 200, "another bucket"
    time.sleep(0.5)
    assert get(url)[0] == 200


def test_an_upload_that_breaks_off_leaves_nothing(hub):
    before = hub.stored_bytes()
    content = b"\0" * 100_000
    oid = hashlib.sha256(content).hexdigest()
    asked = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(content)}]}
    url = f"{hub.url}/datasets/me/x.git/info/lfs/objects/batch"
    (line,) = json.loads(get(url, token(hub), "POST", asked)[2])["objects"]
    href = urlsplit(line["actions"]["upload"]["href"])
    with socket.create_connection((href.hostname, href.port)) as connection:
        start = f"PUT {href.path}?{href.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        connection.sendall(start + content[:5000])
    assert get(line["actions"]["upload"]["href"], None, "PUT", content[:-1])[0] == 400, "other bytes than announced"
    assert hub.stored_bytes() == before
    assert get(line["actions"]["upload"]["href"], None, "PUT", content)[0] == 200
    assert hub.stored_bytes() == before + len(content)


GOOD_CARD = """language: [es, gl, nah]
license: odc-by
pretty_name: A sieved corpus
size_categories: [1K<n<10K]
task_categories: [text-generation, fill-mask]
source_datasets: [original, extended|mc4, allenai/c4]
annotations_creators: [no-annotation]
multilinguality: [monolingual]
configs:
- config_name: default
  data_files:
  - {split: train, path: "train/*.parquet"}
  - {split: valid.part_1, path: [a.parquet, b.parquet]}
dataset_info: {features: [{name: text, dtype: string}], splits: [{name: train, num_bytes: 1, num_examples: 2}]}"""
GOOD_MODEL = """language: es
license: other
license_name: my-license-1.0
license_link: LICENSE
library_name: transformers
pipeline_tag: text-generation
base_model: google/byt5-small
datasets: [me/x, mc4]
model-index:
- name: m
  results:
  - {task: {type: text-generation}, dataset: {type: me/x, name: X}, metrics: [{type: perplexity, value: 0}]}"""


def test_good_cards_pass(hub):
    from huggingface_hub import DatasetCard, HfApi

    for kind, yaml in (("dataset", GOOD_CARD), ("model", GOOD_MODEL)):
        assert problems(f"---\n{yaml}\n---\n# Card\n", kind) == []
        assert remarks(f"---\n{yaml}\n---\n# Card\n", kind) == []
    assert remarks("# Card\n", "model") == ["empty or missing yaml metadata in repo card"]
    (message,) = remarks("---\ntask_categories: [text2text-generation]\n---\n", "dataset")
    assert "not in the official list" in message
    assert DatasetCard(f"---\n{GOOD_CARD}\n---\n").data.license == "odc-by"
    with pytest.raises(ValueError, match=r"Invalid metadata in README.md.\n- \"license\" must be one of"):
        HfApi(endpoint=hub.url)._validate_yaml("---\nlicense: mine\n---\n", repo_type="dataset")


@pytest.mark.parametrize(
    ("kind", "yaml", "message"),
    [
        ("dataset", "language: [es", "YAML: "),
        ("dataset", "- es", "must be a YAML mapping"),
        ("dataset", "language: no", '"language" must be a string'),
        ("dataset", "language: es-ES", "lowercase"),
        ("dataset", "language: spanish", "ISO 639-1"),
        ("dataset", "license: mine", '"license" must be one of'),
        ("dataset", "pretty_name: 5", '"pretty_name" must be a string'),
        ("dataset", "size_categories: 1K-10K", '"size_categories" must be one of'),
        ("dataset", "source_datasets: [extended mc4]", '"source_datasets" must be'),
        ("dataset", "multilinguality: spanish", '"multilinguality" must be one of'),
        ("dataset", "configs: {config_name: a}", '"configs" must be a list'),
        ("dataset", "configs: [{config_name: a/b}]", 'config_name" must be'),
        ("dataset", "configs: [{config_name: a}, {config_name: a}]", "twice"),
        ("dataset", "configs: [{config_name: a, data_files: [{split: a-b, path: x}]}]", 'split" must be letters'),
        ("dataset", "configs: [{config_name: a, data_files: [{split: a}]}]", "must have a split and a path"),
        ("dataset", "dataset_info: {splits: [{name: train, num_bytes: many}]}", "whole number"),
        ("model", "base_model: a b", '"base_model" with value'),
        ("model", "library_name: [a]", '"library_name" must be a string'),
        ("model", "datasets: [a/b/c]", '"datasets" must be ids'),
        ("model", "license: other\nlicense_link: LICENSE", '"license_name" is required'),
        ("model", "model-index: [{name: m}]", 'results" must be a list'),
        ("model", "model-index: [{name: m, results: [{task: {type: t}}]}]", 'dataset.type" is required'),
    ],
)
def test_bad_cards_are_refused(kind, yaml, message):
    assert any(message in found for found in problems(f"---\n{yaml}\n---\n", kind))
