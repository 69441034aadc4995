"""Where files are looked for, what is kept, and what happens when something is damaged."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from dynbench.data import DataUnavailable, FileDataset, Locations
from dynbench.errors import DataError

TEXT = b"1 2 100\n2 3 105\n1 2 160\n"
SUM = hashlib.sha256(TEXT).hexdigest()


def _dataset(where, url=None, sha256=SUM, **settings):
    file = {"name": "Tiny.txt", "url": url, "sha256": sha256, **settings.pop("file", {})}
    return FileDataset(name="tiny", reader="snap_from_one", window="30s", files=[file], where=where, **settings)


def _put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def _all_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- order ------------------------------------------------------------------------------------------------


def test_user_folder_then_cache_then_download(where, online, server):
    (server.root / "Tiny.txt").write_bytes(TEXT)
    url = f"{server.url}/Tiny.txt"
    with pytest.raises(DataUnavailable):
        _dataset(where, url).load()
    assert server.asked == []

    first = _dataset(online, url)
    graph = first.load()
    assert first.provenance()["source"] == "download"
    assert first.provenance()["files"] == {"Tiny.txt": SUM}
    assert server.asked == ["/Tiny.txt"]

    second = _dataset(where, url)
    assert second.load().checksum() == graph.checksum()
    assert second.provenance()["source"] == "cache"

    _put(where.data_dirs[0] / "tiny", "Tiny.txt.gz", gzip.compress(TEXT))
    third = _dataset(where, url)
    assert third.load().checksum() == graph.checksum()
    assert third.provenance()["source"] == "user folder"

    _put(where.data_dirs[0] / "tiny", "edges.csv", b"src,dst,t\n4,5,0\n4,5,90\n")
    assert _dataset(where, url).load().num_nodes == 6
    assert server.asked == ["/Tiny.txt"]


def test_the_first_of_several_user_folders_wins(tmp_path):
    where = Locations([tmp_path / "a", tmp_path / "b"], tmp_path / "cache", offline=True)
    _put(tmp_path / "b" / "tiny", "edges.csv", b"src,dst,t\n0,1,0\n0,1,90\n")
    assert _dataset(where).load().num_nodes == 2
    _put(tmp_path / "a" / "tiny", "edges.csv", b"src,dst,t\n0,7,0\n0,7,90\n")
    assert _dataset(where).load().num_nodes == 8


def test_provenance_names_no_folder(where):
    _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    dataset = _dataset(where)
    with pytest.raises(DataError, match="has not been loaded yet"):
        dataset.provenance()
    dataset.load("events")
    assert str(where.data_dirs[0]) not in str(dataset.provenance())
    assert dataset.provenance()["arguments"]["view"] == "events"


def test_nowhere_says_where_it_looked_and_what_to_do(where):
    card = {"homepage": "https://example.org/tiny"}
    with pytest.raises(DataUnavailable) as caught:
        _dataset(where, "https://example.org/Tiny.txt", card=card).load()
    words = str(caught.value)
    for part in (where.data_dirs[0] / "tiny", where.cache_dir, "https://example.org/Tiny.txt", card["homepage"]):
        assert str(part) in words
    assert "offline=false" in words
    assert "DYNBENCH_DATA" in words


def test_without_an_address_only_the_hand_is_left(online):
    with pytest.raises(DataUnavailable, match=r"nothing to download it from: put Tiny\.txt"):
        _dataset(online).load()


def test_unavailable_data_say_why_but_a_users_copy_is_read(online):
    dataset = _dataset(online, "http://127.0.0.1:9/Tiny.txt", unavailable="its owner withdrew it")
    with pytest.raises(DataUnavailable, match="cannot be downloaded: its owner withdrew it"):
        dataset.load()
    _put(online.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    assert len(dataset.load("events")) == 3


def test_settings_and_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DYNBENCH_DATA", os.pathsep.join(str(tmp_path / name) for name in "xy"))
    monkeypatch.setenv("DYNBENCH_CACHE", str(tmp_path / "c"))
    where = Locations.from_settings(data_dir=str(tmp_path / "z"))
    assert where.data_dirs == (tmp_path / "z", tmp_path / "x", tmp_path / "y")
    assert (where.cache_dir, where.offline) == (tmp_path / "c", False)
    assert Locations.from_settings(cache_dir="/else", offline=True).cache_dir == Path("/else")
    monkeypatch.delenv("DYNBENCH_CACHE")
    monkeypatch.delenv("DYNBENCH_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Locations.from_settings().cache_dir == tmp_path / "dynbench"


# ---- downloads --------------------------------------------------------------------------------------------


def test_packed_downloads_are_unpacked(online, server):
    (server.root / "Tiny.txt.gz").write_bytes(gzip.compress(TEXT))
    with zipfile.ZipFile(server.root / "tiny.zip", "w") as archive:
        archive.writestr("inside/Tiny.txt", TEXT)
    with tarfile.open(server.root / "tiny.tar.bz2", "w:bz2") as archive:
        entry = tarfile.TarInfo("inside/Tiny.txt")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT))
    for name, member in (("Tiny.txt.gz", None), ("tiny.zip", "inside/Tiny.txt"), ("tiny.tar.bz2", "inside/Tiny.txt")):
        dataset = _dataset(online, f"{server.url}/{name}", file={"member": member})
        assert len(dataset.load("events")) == 3
        stored = online.downloads("tiny") / "Tiny.txt"
        assert stored.read_bytes() == TEXT
        stored.unlink()


@pytest.mark.parametrize(
    ("name", "content", "file", "words"),
    [
        ("Tiny.txt", TEXT[:-5], {}, f"sent has SHA-256 .*, the card expects {SUM}; .*Nothing was kept"),
        ("Tiny.txt.gz", gzip.compress(TEXT, mtime=0)[:-12], {}, "cannot be unpacked"),
        ("tiny.zip", b"<html>moved</html>", {"member": "Tiny.txt"}, "cannot be unpacked"),
        ("Tiny.txt", TEXT, {"archive_hash": "md5:" + 32 * "0"}, "arrived damaged or has changed"),
    ],
)
def test_a_damaged_download_leaves_nothing_behind(online, server, name, content, file, words):
    (server.root / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        _dataset(online, f"{server.url}/{name}", file=file).load()
    assert f"{server.url}/{name}" in str(caught.value)
    assert _all_files(online.cache_dir) == []


def test_a_missing_page_and_a_silent_server(online, server):
    with pytest.raises(DataUnavailable, match=r"the server answered 404 .*put 'Tiny\.txt' into <data_dir>/tiny/"):
        _dataset(online, f"{server.url}/gone.txt").load()
    with pytest.raises(DataUnavailable, match="the server cannot be reached"):
        _dataset(online, "http://127.0.0.1:9/Tiny.txt").load()
    assert _all_files(online.cache_dir) == []


def test_a_download_cut_short_is_not_kept(online, server, monkeypatch):
    (server.root / "Tiny.txt").write_bytes(TEXT)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dynbench.data.download._verify_download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _dataset(online, f"{server.url}/Tiny.txt").load()
    assert _all_files(online.cache_dir) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(where, online, server, caplog):
    (server.root / "Tiny.txt").write_bytes(TEXT)
    url = f"{server.url}/Tiny.txt"
    _put(online.downloads("tiny"), "Tiny.txt", TEXT[:7])
    assert len(_dataset(online, url).load("events")) == 3
    assert "removing a damaged file" in caplog.text
    _put(online.downloads("tiny"), "Tiny.txt", TEXT[:7])
    with pytest.raises(DataUnavailable):
        _dataset(where, url).load("events")
    assert server.asked == ["/Tiny.txt"]


def test_a_cache_that_cannot_be_written(tmp_path, server):
    (server.root / "Tiny.txt").write_bytes(TEXT)
    (tmp_path / "blocked").write_text("a file where a folder should be")
    where = Locations([tmp_path / "mine"], tmp_path / "blocked" / "cache")
    with pytest.raises(DataError, match=r"cannot write to .*set cache_dir to another folder"):
        _dataset(where, f"{server.url}/Tiny.txt").load()
    _put(tmp_path / "mine" / "tiny", "Tiny.txt", TEXT)
    assert len(_dataset(where).load("events")) == 3


# ---- checks -----------------------------------------------------------------------------------------------


def test_a_users_file_of_another_version_is_refused(where):
    path = _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT + b"3 1 200\n")
    with pytest.raises(DataError, match=f"SHA-256 is .*the card expects {SUM}.*data=custom") as caught:
        _dataset(where).load()
    assert str(path) in str(caught.value)


def test_several_sums_or_none(where):
    _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    assert len(_dataset(where, sha256=["0" * 64, SUM]).load("events")) == 3
    assert len(_dataset(where, sha256=None).load("events")) == 3


@pytest.mark.parametrize(
    ("view", "expected", "words"),
    [
        ("events", {"events": 4}, "promises 4 events, the data have 3"),
        ("events", {"pairs": 1}, "promises 1 pairs, the data have 2"),
        ("snapshots", {"nodes": 1899}, "promises 1,899 nodes, the data have 3"),
        ("snapshots", {"steps": 2}, "promises 2 steps, the data have 3"),
        ("snapshots", {"links": 4}, "promises 4 links, the data have 3"),
        ("snapshots", {"edges": 4}, "unknown statistic 'edges'"),
    ],
)
def test_statistics_of_the_card_are_checked(where, view, expected, words):
    _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    with pytest.raises(DataError, match=f"'tiny'.*{words}"):
        _dataset(where, expected=expected).load(view)


def test_ones_own_cut_switches_the_checks_of_the_cut_off(where):
    _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    native, expected = {"window": "60s"}, {"nodes": 3, "steps": 99, "links": 99}
    assert _dataset(where, expected=expected, native=native).load().num_steps == 3
    with pytest.raises(DataError, match="promises 8 nodes"):
        _dataset(where, expected={"nodes": 8}, native=native).load()


def test_distinct_links(where):
    _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    assert _dataset(where, expected={"links": 2}, count_links="distinct_over_time").load().num_steps == 3


def test_views_are_two(where):
    with pytest.raises(DataError, match="no such view of a dataset: 'graph'"):
        _dataset(where).load("graph")


# ---- parsed graphs in the cache ---------------------------------------------------------------------------


def test_parsed_graphs_are_kept_and_used(where, monkeypatch):
    path = _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    fresh = _dataset(where).load()
    monkeypatch.setattr("dynbench.data.dataset.FileDataset._build", lambda *_: pytest.fail("read again"))
    assert _dataset(where).load().checksum() == fresh.checksum()
    monkeypatch.undo()
    path.write_bytes(TEXT + b"3 1 200\n")
    assert len(_dataset(where, sha256=None).load("events")) == 4


def test_arguments_are_part_of_the_key(where):
    _put(where.data_dirs[0] / "tiny", "Tiny.txt", b"1 2 100\n2 1 101\n1 2 160\n")
    assert len(_dataset(where, sha256=None).load()) == 3
    assert len(_dataset(where, sha256=None, directed=False).load()) == 2
    assert _dataset(where, sha256=None, span="40s").load().num_steps == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_a_damaged_graph_in_the_cache_is_rebuilt(where, damage, caplog):
    _put(where.data_dirs[0] / "tiny", "Tiny.txt", TEXT)
    fresh = _dataset(where).load()
    (stored,) = where.graphs().glob("*.npz")
    whole = stored.read_bytes()
    stored.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert _dataset(where).load().checksum() == fresh.checksum()
    assert "removing a damaged graph" in caplog.text
    assert len(stored.read_bytes()) == len(whole)
    assert len(list(where.graphs().iterdir())) == 1
