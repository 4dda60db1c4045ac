"""The token is nowhere: not in what is printed, with --debug too, nor in a file, whatever happens to an upload."""

from __future__ import annotations

import traceback

import pytest

from tamiz.cli import main
from tests.loopback_hub import LoopbackHub
from tests.uploads import client, contents, output

BAD = "hf_ATokenThatNobodyHas"
FAULTS = {
    "done": None,
    "not accepted": None,
    "not allowed": None,
    "busy": ("commit", "status"),
    "reset": ("commit", "reset"),
    "stalled": ("revision", "stall"),
    "contents": ("any", "status"),
    "limited": ("preupload", "rate_limit"),
}


@pytest.mark.parametrize("case", FAULTS)
@pytest.mark.parametrize("way", ["lfs", "xet"])
def test_the_token_is_nowhere(tmp_path, capfd, monkeypatch, way, case):
    folder = output(tmp_path / "out", contents(1, number=2))
    with LoopbackHub(way, tmp_path / "hub") as hub, client(hub, patience=0.2):
        token = BAD if case == "not accepted" else hub.token
        monkeypatch.setenv("HF_TOKEN", token)
        fault = FAULTS[case]
        if fault:
            hub.create("model", "me/x")
            asked_of_contents = case != "contents"
            times = {"times": 10**6, "seconds": 10**5 if fault[1] == "rate_limit" else 5}
            hub.fault(*fault, **times, when=lambda asked: asked_of_contents or asked.method in ("PUT", "POST"))
        name = "you/x" if case == "not allowed" else "me/x"
        with pytest.raises(BaseException) as ended:
            main(["--debug", "upload", str(folder), "--repo", name])
        said = "".join(traceback.format_exception(ended.value))
    printed = capfd.readouterr()
    everything = f"{said}{printed.out}{printed.err}"
    assert ("SystemExit: 0" in said) == (case == "done"), everything
    assert (token in everything, "Bearer" in everything) == (False, False), everything
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    assert [path for path in written if token.encode() in path.read_bytes()] == []
