"""Every fault of the Hub during uploads: what is there is right, or the old; an error is one line, and comes soon."""

from __future__ import annotations

import time

import pytest

from tests.command import tamiz
from tests.loopback_hub import LoopbackHub
from tests.uploads import CARD, client, contents, local, output, remote


def version(n):
    return {**contents(n, number=2, size=3000), "README.md": f"{CARD}\nVersion {n}.\n".encode()}


OLD, NEW = version(1), version(2)
ROUTES = (
    "revision",
    "tree",
    "get",
    "preupload",
    "validate",
    "commit",
)  # of both ways, where the repository is there already
CALLS = ("status", "rate_limit", "reset", "lost", "stall", "cut", "short")
OF_LFS = ("lfs_put", "batch", "verify")


def uploaded(hub, capsys, tmp_path, **patience):
    """An old upload, then one in which faults strike: exit code, stderr, seconds."""
    folder = output(tmp_path / "out", OLD)
    with client(hub, **patience):
        if ("model", "me/x") not in hub._state.repositories:
            assert tamiz(capsys, "upload", folder, "--repo", "me/x")[0::2] == (0, "")
        before, commits = remote(hub, "me/x"), len(hub.commits("model", "me/x"))
        output(folder, NEW)
        return folder, before, commits


def again(hub, capsys, folder, **patience):
    begun = time.monotonic()
    with client(hub, **patience):
        code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    return code, err, time.monotonic() - begun


@pytest.fixture(params=["lfs", "xet"])
def hub(request, tmp_path):
    with LoopbackHub(request.param, tmp_path / "hub") as running:
        running.routes = (*(OF_LFS if request.param == "lfs" else ("xet_token",)), *ROUTES)
        yield running


@pytest.mark.parametrize("kind", CALLS)
def test_faults_that_pass(hub, capsys, tmp_path, kind):
    """Once on every route: all is done nevertheless, by one commit."""
    routes = hub.routes if kind != "stall" else (hub.routes[0], "revision", "commit")
    folder, _, commits = uploaded(hub, capsys, tmp_path)
    for route in routes:
        hub.fault(route, kind, times=1, seconds=0 if kind == "rate_limit" else 10)
    assert again(hub, capsys, folder, patience=20)[:2] == (0, "")
    assert remote(hub, "me/x") == local(folder)
    assert len(hub.commits("model", "me/x")) == commits + 1
    assert {each.route for each in hub.fired} == set(routes)


@pytest.mark.parametrize("kind", ["status", "reset", "lost", "stall", "rate_limit"])
def test_faults_that_stay(hub, capsys, tmp_path, kind):
    """On one route after the other: a line in bounded time, and the old content. But what is done, if only the answer
    was lost, is found done."""
    folder, before, commits = uploaded(hub, capsys, tmp_path)
    for n, route in enumerate(hub.routes if kind != "stall" else (hub.routes[0], "commit")):
        output(folder, version(100 + n))
        hub.clear_faults()
        hub.fault(route, kind, times=10**6, seconds=10 if kind == "stall" else 10**5)
        code, err, seconds = again(hub, capsys, folder, patience=0.2)
        assert seconds < 60, (route, seconds)
        if (route == "verify" and kind != "rate_limit") or (
            route in ("commit", "lfs_put") and kind in ("lost", "stall")
        ):
            commits += 1
            assert (code, err, remote(hub, "me/x")) == (0, "", local(folder)), route
            before = remote(hub, "me/x")
        else:
            assert (code, err.count("\n")) == (1, 1), (route, err)
            assert "run the same command again" in err
            assert remote(hub, "me/x") == before, route
        assert len(hub.commits("model", "me/x")) == commits, route
    hub.clear_faults()
    assert again(hub, capsys, folder)[:2] == (0, "")
    assert remote(hub, "me/x") == local(folder)


def test_an_answer_that_trickles_for_ever(hub, capsys, tmp_path, monkeypatch):
    folder, before, _ = uploaded(hub, capsys, tmp_path)
    monkeypatch.setattr("tests.uploads.TIME_OUT", 0.2)
    hub.fault("tree", "slow", times=10**6, seconds=1)  # in ten pieces, so no time-out between two of them ends it
    code, err, seconds = again(hub, capsys, folder, patience=0.2)
    assert (code, err.count("\n"), remote(hub, "me/x"), seconds < 60) == (1, 1, before, True)


@pytest.mark.parametrize("token", ["hf_secretsecret\x01", "hf_secret\u200bsecret"])
def test_a_token_that_no_header_can_hold_is_not_shown(hub, capsys, tmp_path, token):
    folder = output(tmp_path / "out", NEW)
    with client(hub, HF_TOKEN=token):
        code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
    assert (code, "characters that no token has" in err, "secret" in err, hub.requests) == (1, True, False, [])


def test_a_wait_that_the_hub_asks_for_is_kept(hub, capsys, tmp_path):
    folder, _, _ = uploaded(hub, capsys, tmp_path)
    hub.fault("commit", "rate_limit", seconds=1)
    code, err, seconds = again(hub, capsys, folder)
    assert (code, err, seconds > 2) == (0, "", True)
    hub.fault("commit", "status", status=503, headers={"Retry-After": "1"})
    output(folder, OLD)
    code, err, seconds = again(hub, capsys, folder)
    assert (code, err, seconds > 1) == (0, "", True)


def test_without_a_network_nothing_is_tried(capsys, tmp_path, monkeypatch):
    folder = output(tmp_path / "out", OLD)
    with LoopbackHub("lfs", tmp_path / "hub") as hub, client(hub):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        code, _, err = tamiz(capsys, "upload", folder, "--repo", "me/x")
        assert (code, err.count("\n")) == (1, 1)
        assert "HF_HUB_OFFLINE is set, so nothing can be published: unset it, or pass --dry-run" in err
        assert tamiz(capsys, "upload", folder, "--repo", "me/x", "--dry-run")[0] == 0
        assert hub.requests == []
