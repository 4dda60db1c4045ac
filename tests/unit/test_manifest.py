"""Manifests: what is skipped, continued, refused; what verify notices."""

from __future__ import annotations

import json
import os

import msgspec
import pytest

from corpora import checksum, files, manifest
from corpora.documents.items import work_items
from corpora.errors import DamagedFile, StaleOutput
from corpora.manifest import InputIdentity, MadeFrom
from corpora.verify import notes, verify


def made_from(**settings):
    identity = InputIdentity(name="a.jsonl", size=3, sha256="00")
    return MadeFrom(stage="score", algorithm=1, settings=settings, inputs=[identity])


def finished(folder, content=b"data"):
    manifest.begin(folder, made_from(order=5))
    path = folder / "part.parquet"
    path.write_bytes(content)
    manifest.finish(
        folder,
        records=[manifest.record(folder, path)],
        counts={"read": 2, "kept": 1, "sampled_out": 1, "rejected": {}},
    )
    return path


def test_the_same_work_is_skipped_and_unfinished_work_continued(tmp_path):
    out = tmp_path / "out"
    assert manifest.begin(out, made_from(order=5)) == "new"
    assert manifest.begin(out, made_from(order=5)) == "continued"
    manifest.finish(out, records=[])
    assert manifest.begin(out, made_from(order=5)) == "finished"


def test_other_settings_are_refused_by_name_and_rebuilt_on_demand(tmp_path):
    out = tmp_path / "out"
    path = finished(out)
    with pytest.raises(StaleOutput, match=r"order: 5 -> 4.*--rebuild"):
        manifest.begin(out, made_from(order=4))
    assert manifest.begin(out, made_from(order=4), rebuild=True) == "new"
    assert not path.exists()


def test_another_input_is_named(tmp_path):
    finished(tmp_path / "out")
    changed = MadeFrom(
        stage="score", algorithm=1, settings={"order": 5}, inputs=[InputIdentity(name="a.jsonl", size=3, sha256="11")]
    )
    with pytest.raises(StaleOutput, match=r"\(input changed: a\.jsonl\)"):
        manifest.begin(tmp_path / "out", changed)


def test_the_fingerprint_ignores_order_and_time_but_not_content():
    a = InputIdentity(name="a", size=1, mtime_ns=1, sha256="00")
    b = InputIdentity(name="b", size=1, mtime_ns=2, sha256="11")
    touched = InputIdentity(name="a", size=1, mtime_ns=9, sha256="00")
    base = MadeFrom(stage="s", algorithm=1, settings={}, inputs=[a, b])
    assert base.fingerprint() == MadeFrom(stage="s", algorithm=1, settings={}, inputs=[b, touched]).fingerprint()
    assert base.fingerprint() != MadeFrom(stage="s", algorithm=2, settings={}, inputs=[a, b]).fingerprint()
    assert base.fingerprint() != MadeFrom(stage="s", algorithm=1, settings={}, inputs=[a]).fingerprint()


def test_a_strangers_folder_is_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for rebuild in (False, True):
        with pytest.raises(StaleOutput):
            manifest.begin(tmp_path, made_from(), rebuild=rebuild)
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(StaleOutput):
        manifest.begin(tmp_path, made_from(), rebuild=True)
    assert (tmp_path / "thesis.txt").exists()


def test_stale_temporary_files_are_removed(tmp_path):
    out = tmp_path / "out"
    manifest.begin(out, made_from())
    (out / "part.parquet.tmp-0123456789ab").write_bytes(b"half")
    manifest.begin(out, made_from())
    assert [p.name for p in out.iterdir()] == ["manifest.json"]


def test_what_killed_workers_left_half_written_is_gone_when_the_work_is_finished(tmp_path):
    out = tmp_path / "out"
    manifest.begin(out, made_from())
    (out / "part-0.parquet.tmp-901e1bf13e5e").write_bytes(b"half")
    manifest.finish(out, records=[])
    assert [path.name for path in out.iterdir()] == ["manifest.json"]


def test_every_changed_byte_is_noticed(tmp_path):
    path = finished(tmp_path / "out")
    assert verify(tmp_path) == (1, [])
    data = path.read_bytes()
    for n in range(len(data)):
        path.write_bytes(data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :])
        assert "sha256" in verify(tmp_path)[1][0]
    path.write_bytes(data[:-1])
    assert "3 bytes" in verify(tmp_path)[1][0]
    path.unlink()
    assert "missing" in verify(tmp_path)[1][0]


def test_unnamed_files_and_false_counts_are_noticed(tmp_path):
    out = tmp_path / "out"
    finished(out)
    (out / "more.parquet").write_bytes(b"")
    assert "not listed" in verify(out)[1][0]
    (out / "more.parquet").unlink()
    content = manifest.read(out)
    content.counts["kept"] = 2
    manifest.write(out, content)
    assert "read 2 != 3" in verify(out)[1][0]


def test_a_changed_setting_in_the_manifest_is_noticed(tmp_path):
    out = tmp_path / "out"
    finished(out)
    path = out / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"order": 5', b'"order": 4'))
    assert "checksum" in verify(out)[1][0]
    path.write_bytes(checksum.sign(path.read_bytes()[: path.read_bytes().index(b',\n "checksum"')] + b"\n}"))
    assert "fingerprint" in verify(out)[1][0]


def test_a_damaged_manifest_is_one_line(tmp_path):
    out = tmp_path / "out"
    finished(out)
    (out / "manifest.json").write_bytes(b'{"format": "tamiz-man')
    with pytest.raises(DamagedFile, match="can't be read"):
        manifest.begin(out, made_from())


@pytest.mark.parametrize("counts", [{"kept": "1"}, {"rejected": [1]}, {"rejected": {"not JSON": None}}])
def test_counts_that_are_no_numbers_are_told_by_file_and_key(tmp_path, counts):
    finished(tmp_path)
    path = tmp_path / "manifest.json"
    said = {**json.loads(path.read_bytes()), "counts": counts}
    del said["checksum"]
    path.write_bytes(checksum.sign(json.dumps(said, indent=1).encode()))
    with pytest.raises(DamagedFile, match=rf"{path} is damaged \(Expected .* at `counts.{next(iter(counts))}"):
        manifest.read(tmp_path)


def test_sha256_is_taken_again_only_if_size_or_time_changed(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = manifest.local_identity(path, "a")
    known = {"a": InputIdentity(name="a", size=3, mtime_ns=first.mtime_ns, sha256="trusted")}
    assert manifest.local_identity(path, "a", known).sha256 == "trusted"
    path.write_bytes(b"longer")
    os.utime(path, ns=(first.mtime_ns, first.mtime_ns))
    assert manifest.local_identity(path, "a", known).sha256 == files.sha256(path)
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    assert manifest.local_identity(path, "a", known).sha256 == first.sha256


def test_rebuild_never_clears_another_stage(tmp_path):
    path = finished(tmp_path / "out")
    other = MadeFrom(stage="sample", algorithm=1, settings={}, inputs=[])
    with pytest.raises(StaleOutput, match="doesn't hold the output of 'sample'"):
        manifest.begin(tmp_path / "out", other, rebuild=True)
    assert path.exists()


def test_rebuild_clears_a_folder_whose_manifest_is_damaged(tmp_path):
    finished(tmp_path / "out")
    home = tmp_path / "out" / "manifest.json"
    home.write_bytes(home.read_bytes()[:-20])
    assert manifest.known_inputs(tmp_path / "out") == {}
    assert manifest.begin(tmp_path / "out", made_from(), rebuild=True) == "new"


def test_a_file_cut_short_is_not_taken_for_finished(tmp_path):
    path = finished(tmp_path / "out")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match="cut short"):
        manifest.begin(tmp_path / "out", made_from(order=5))


def test_notes_left_by_a_kill_after_the_manifest_are_removed(tmp_path):
    finished(tmp_path / "out")
    (tmp_path / "out" / ".progress").mkdir()
    (tmp_path / "out" / ".progress" / "a.json").write_text("[]")
    manifest.begin(tmp_path / "out", made_from(order=5))
    assert verify(tmp_path / "out")[1] == []


def test_items_must_add_up_to_the_counts(tmp_path):
    finished(tmp_path / "out")
    content = manifest.read(tmp_path / "out")
    content.items = [{"name": "a", "read": 1, "kept": 1}]
    manifest.write(tmp_path / "out", content)
    assert "its items add up to" in verify(tmp_path / "out")[1][0]


def test_the_numbering_of_inputs_depends_on_names_alone(tmp_path):
    """Part numbers follow the names that outputs carry, wherever the files lie."""
    numbered = []
    for layout in ({"x": "a", "y": "b"}, {"x": "b", "y": "a"}):
        root = tmp_path / "".join(layout.values())
        for name, folder in layout.items():
            (root / folder).mkdir(parents=True)
            (root / folder / f"{name}.jsonl").write_text('{"text":"hola"}\n')
        patterns = [str(root / folder / "*.jsonl") for folder in ("a", "b")]
        numbered.append([(item.number, item.name) for item in work_items(patterns)])
    assert numbered[0] == numbered[1] == [(0, "x.jsonl"), (1, "y.jsonl")]


def test_rejected_rows_of_a_language_model_are_verified(tmp_path):
    (tmp_path / "lm.bin").write_bytes(b"model")
    rejected = tmp_path / "lm.rejected" / "rejected" / "a.jsonl"
    rejected.parent.mkdir(parents=True)
    rejected.write_bytes(b"{}\n")
    path = rejected.relative_to(tmp_path / "lm.rejected").as_posix()
    said = {
        "format": "tamiz-lm",
        "version": 1,
        "tokenizer_sha256": None,
        "lm_sha256": files.sha256(tmp_path / "lm.bin"),
        "rejected_files": [{"path": path, "bytes": 3, "sha256": files.sha256(rejected)}],
    }
    (tmp_path / "lm.json").write_text(json.dumps(said))
    assert verify(tmp_path)[1] == []
    rejected.write_bytes(b"[]\n")
    assert "sha256" in " ".join(verify(tmp_path)[1])
    rejected.write_bytes(b"{}\n")
    rejected.with_name("junk.jsonl").write_bytes(b"x")
    assert "not listed" in " ".join(verify(tmp_path)[1])


def test_a_stage_of_any_name_can_be_rebuilt(tmp_path):
    """`language-id` was not found in its own manifest once."""
    first, other = (
        MadeFrom(stage="language-id", algorithm=1, settings={"model": name}, inputs=[]) for name in ("a", "b")
    )
    assert manifest.begin(tmp_path / "out", first) == "new"
    assert manifest.begin(tmp_path / "out", other, rebuild=True) == "new"


def test_an_attempt_that_made_nothing_is_begun_anew(tmp_path):
    out = tmp_path / "out"
    manifest.begin(out, made_from(vocab_size=10))
    files.write_bytes(out / "rejected" / "a.jsonl", b"{}\n")
    (out / "log.jsonl").write_bytes(b"")
    (out / "b.tmp-0123456789ab").write_bytes(b"")
    assert manifest.begin(out, made_from(vocab_size=2000)) == "new"
    assert {p.name for p in out.iterdir()} == {"log.jsonl", "manifest.json"}
    assert manifest.begin(out, made_from(vocab_size=2000)) == "continued"
    other = MadeFrom(stage="sample", algorithm=1, settings={}, inputs=[])
    with pytest.raises(StaleOutput, match="the stage: score -> sample"):
        manifest.begin(out, other)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b""),
        ("checkpoints/step-00000001.pt", b""),
        (".progress/a.json", b'["key", {"name": "a", "scratch": []}]'),
        (".progress/pass-2/a.json", b'["key", {"name": "a"}]'),
    ],
)
def test_an_attempt_with_a_result_is_refused(tmp_path, name, content):
    out = tmp_path / "out"
    manifest.begin(out, made_from(order=5))
    files.write_bytes(out / name, content)
    with pytest.raises(StaleOutput, match="order: 5 -> 4"):
        manifest.begin(out, made_from(order=4))
    assert (out / name).exists()


def test_steps_on_the_way_are_kept_for_the_same_inputs(tmp_path):
    """What an attempt counted serves the next one, if the inputs are the same: its notes say what it is good for."""
    out, note = tmp_path / "out", tmp_path / "out" / ".progress" / "a.json"
    manifest.begin(out, made_from(vocab_size=10))
    files.write_bytes(note, b'["key", {"name": "a", "scratch": [{"path": "x"}]}]')
    assert manifest.begin(out, made_from(vocab_size=20)) == "new"
    assert note.exists()
    others = MadeFrom(stage="score", algorithm=1, settings={}, inputs=[InputIdentity(name="b.jsonl", size=1)])
    newer = msgspec.structs.replace(made_from(vocab_size=30), algorithm=2)
    for other in (newer, others):
        files.write_bytes(note, b'["key", {"name": "a", "scratch": [{"path": "x"}]}]')
        assert manifest.begin(out, other) == "new"
        assert not note.exists()


def test_every_changed_byte_of_a_manifest_is_noticed(tmp_path):
    out = tmp_path / "out"
    finished(out)
    path = out / "manifest.json"
    data = path.read_bytes()
    for n in range(len(data)):
        path.write_bytes(data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :])
        assert verify(tmp_path)[1], n
    for damaged in (data[:-1], data + b" ", data + b"\n", b"", data.replace(b"\n", b"\r\n")):
        path.write_bytes(damaged)
        assert verify(tmp_path)[1]
    path.write_bytes(data)
    assert verify(tmp_path) == (1, [])


def test_a_manifest_of_an_older_version_is_read_without_a_checksum(tmp_path):
    finished(tmp_path)
    path = tmp_path / "manifest.json"
    content = json.loads(path.read_bytes())
    del content["checksum"]
    path.write_text(json.dumps({**content, "version": 1}))
    assert verify(tmp_path) == (1, [])
    assert notes(tmp_path)[1].startswith(f"no checksum in {path}: written by an older tamiz")
    manifest.add_derived(tmp_path, [])
    assert notes(tmp_path) == ["1 folder"]
    path.write_bytes(path.read_bytes().replace(b'"version": 2', b'"version": 3'))
    with pytest.raises(DamagedFile, match="version 3, but this tamiz reads up to 2: install a newer one"):
        manifest.read(tmp_path)


def test_a_changed_manifest_is_not_signed_again(tmp_path):
    finished(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"begun": "2', b'"begun": "1'))
    with pytest.raises(DamagedFile, match=r"manifest\.json was changed after tamiz wrote it .*--rebuild"):
        manifest.add_derived(tmp_path, [])
    assert manifest.begin(tmp_path, made_from(order=5), rebuild=True) == "new"


def test_strangers_are_no_fault_and_temporary_files_are_a_note(tmp_path):
    finished(tmp_path / "out")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "a web app"}')
    with pytest.raises(DamagedFile, match=r"web: no manifest\.json of tamiz there or below"):
        verify(tmp_path / "web")
    assert verify(tmp_path) == (1, [])
    assert notes(tmp_path) == ["1 folder"]
    stale = tmp_path / "out" / "report" / "x.png.tmp-0123456789ab"
    files.write_bytes(stale, b"")
    assert verify(tmp_path) == (1, [])
    assert notes(tmp_path)[1] == f"temporary: {stale}: left by a killed run, the next one removes it"


def test_a_finished_folder_without_files_is_not_begun_anew(tmp_path):
    manifest.begin(tmp_path, made_from(order=5))
    manifest.finish(tmp_path, records=[])
    with pytest.raises(StaleOutput, match="order: 5 -> 4"):
        manifest.begin(tmp_path, made_from(order=4))


@pytest.mark.parametrize("read", [1, 3])
def test_false_counts_are_noticed_in_both_directions(tmp_path, read):
    finished(tmp_path)
    content = manifest.read(tmp_path)
    content.counts["read"] = read
    content.items = [{"name": "a", "read": 2, "kept": 1, "sampled_out": 1}]
    manifest.write(tmp_path, content)
    problems = verify(tmp_path)[1]
    assert f"read {read} != 2" in problems[0]
    assert f"read is {read}, but its items add up to 2" in problems[1]


def test_remote_files_of_one_size_differ_by_their_etags():
    one, other = (InputIdentity(name="a", size=1, etag=etag) for etag in ("x", "y"))
    assert one.content() != other.content()


@pytest.mark.parametrize("rejected", [0, 2])
def test_rejected_rows_are_counted_in_their_files(tmp_path, rejected):
    manifest.begin(tmp_path, made_from(order=5))
    files.write_bytes(tmp_path / "rejected" / "a.jsonl", b"{}\n")
    listed = [manifest.record(tmp_path, tmp_path / "rejected" / "a.jsonl", rows=1)]
    counts = {"read": rejected, "kept": 0, "sampled_out": 0, "rejected": {"not JSON": rejected}}
    manifest.finish(tmp_path, records=listed, counts=counts)
    assert verify(tmp_path)[1] == [f"{tmp_path}: rejected/* have 1 rows, but the counts say {rejected}"]


def test_files_made_later_are_verified_as_well(tmp_path):
    finished(tmp_path)
    plot = tmp_path / "report.png"
    plot.write_bytes(b"plot")
    manifest.add_derived(tmp_path, [plot])
    assert verify(tmp_path) == (2, [])
    plot.write_bytes(b"plop")
    assert verify(tmp_path)[1] == [f"{plot}: sha256 differs from the manifest's"]


def test_a_folder_that_says_it_is_of_another_stage_is_noticed(tmp_path):
    finished(tmp_path)
    content = manifest.read(tmp_path)
    content.stage = "sample"
    manifest.write(tmp_path, content)
    assert verify(tmp_path)[1] == [f"{tmp_path}: the stage is 'sample', but the fingerprint is for 'score'"]
