"""Keys on disk: private, whole, and one set however many workers start at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay import secret_files
from relay.secret_files import (
    OPRF_SEED,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    TRUST_ROOT,
    TRUST_ROOT_PUBLIC,
    SecretFileError,
    load_keys,
    rotate_server_key,
)

_WORKER = """
import sys
from pathlib import Path
from relay.secret_files import load_keys
print("ready", flush=True)
sys.stdin.readline()
keys = load_keys(Path(sys.argv[1]))
print((keys.trust_root + keys.server_key + keys.server_certificate).hex())
"""


def test_what_is_made_is_private_and_found_again(tmp_path: Path) -> None:
    directory = tmp_path / "var" / "secrets"
    keys = load_keys(directory)
    assert load_keys(directory) == keys
    assert directory.stat().st_mode & 0o777 == 0o700
    assert sorted(one.name for one in directory.iterdir()) == [
        OPRF_SEED,
        SERVER_KEY,
        SERVER_CERTIFICATE,
        TRUST_ROOT,
        TRUST_ROOT_PUBLIC,
    ]
    assert {one.stat().st_mode & 0o777 for one in directory.iterdir()} == {0o600}
    assert keys.server_key.hex() not in repr(keys)
    assert keys.oprf_seed.hex() not in repr(keys)
    assert repr(keys.oprf_seed) not in repr(keys)


def test_a_loose_umask_changes_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_keys(tmp_path / "secrets")
    finally:
        os.umask(before)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "secrets").iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    load_keys(tmp_path / "secrets")
    path = tmp_path / "secrets" / SERVER_KEY
    path.chmod(mode)
    with pytest.raises(SecretFileError, match=f"server.key is open to other users .*chmod 600 {path}"):
        load_keys(tmp_path / "secrets")


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path / "secrets")
    (tmp_path / "secrets").chmod(0o750)
    with pytest.raises(SecretFileError, match="chmod 700"):
        load_keys(tmp_path / "secrets")


@pytest.mark.parametrize("name", [SERVER_KEY, TRUST_ROOT_PUBLIC])
@pytest.mark.parametrize("content", [b"", b"short", bytes(34)])
def test_a_damaged_key_is_not_replaced(tmp_path: Path, name: str, content: bytes) -> None:
    load_keys(tmp_path / "secrets")
    (tmp_path / "secrets" / name).write_bytes(content)
    with pytest.raises(SecretFileError, match="damaged"):
        load_keys(tmp_path / "secrets")
    assert (tmp_path / "secrets" / name).read_bytes() == content


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    load_keys(tmp_path / "secrets")
    (tmp_path / "secrets" / SERVER_KEY).rename(tmp_path / "elsewhere")
    (tmp_path / "secrets" / SERVER_KEY).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretFileError, match=SERVER_KEY):
        load_keys(tmp_path / "secrets")


def test_who_comes_second_takes_the_key_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker puts its keys there between our look and our making: the narrowest race, made certain."""
    real_make = secret_files.make_private_key
    first: list[secret_files.RelayKeys] = []

    def make_late() -> bytes:
        monkeypatch.setattr(secret_files, "make_private_key", real_make)
        first.append(load_keys(tmp_path / "secrets"))
        return real_make()

    monkeypatch.setattr(secret_files, "make_private_key", make_late)
    assert load_keys(tmp_path / "secrets") == first[0]
    assert len(list((tmp_path / "secrets").iterdir())) == 5  # nothing is left lying aside


def test_workers_that_start_together_end_with_one_set_of_keys(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path / "secrets")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outputs = {worker.communicate(timeout=30)[0] for worker in workers}
    assert len(outputs) == 1


# -- the trust root may leave ------------------------------------------------------------------------------------------


def test_the_relay_runs_without_the_trust_roots_private_half(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    keys = load_keys(directory)
    (directory / TRUST_ROOT).rename(tmp_path / "stick")
    assert load_keys(directory) == keys
    assert not (directory / TRUST_ROOT).exists()


def test_keys_of_a_relay_that_knew_no_public_file_go_on(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    keys = load_keys(directory)
    (directory / TRUST_ROOT_PUBLIC).unlink()
    assert load_keys(directory) == keys


def test_no_new_trust_root_is_made_for_an_old_relay(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    load_keys(directory)
    (directory / TRUST_ROOT).rename(tmp_path / "stick")
    (directory / TRUST_ROOT_PUBLIC).rename(tmp_path / "lost")
    with pytest.raises(SecretFileError, match=r"trust_root\.pub is missing"):
        load_keys(directory)
    (tmp_path / "lost").rename(directory / TRUST_ROOT_PUBLIC)
    (directory / SERVER_CERTIFICATE).unlink()
    with pytest.raises(SecretFileError, match="relay rotate server-certificate"):
        load_keys(directory)
    assert not (directory / TRUST_ROOT).exists()


def test_files_of_two_relays_are_told_apart(tmp_path: Path) -> None:
    load_keys(tmp_path / "one")
    load_keys(tmp_path / "two")
    for name in (SERVER_KEY, SERVER_CERTIFICATE, TRUST_ROOT_PUBLIC):
        mixed = tmp_path / f"mixed_{name}"
        shutil.copytree(tmp_path / "one", mixed)
        shutil.copy(tmp_path / "two" / name, mixed / name)
        with pytest.raises(SecretFileError, match="different relays"):
            load_keys(mixed)


def test_a_server_key_is_replaced_under_the_same_trust_root(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    before = load_keys(directory)
    trust_root_key = (directory / TRUST_ROOT).read_bytes()
    (directory / TRUST_ROOT).unlink()
    rotate_server_key(directory, trust_root_key)
    after = load_keys(directory)
    assert after.trust_root == before.trust_root
    assert after.server_key != before.server_key
    assert {one.stat().st_mode & 0o777 for one in directory.iterdir()} == {0o600}
    with pytest.raises(SecretFileError, match="another trust root"):
        rotate_server_key(directory, bytes(31) + b"@")
    assert load_keys(directory) == after


def test_a_lost_seed_of_the_oblivious_function_is_not_made_anew(tmp_path: Path) -> None:
    """Members would be found by number no more, and nobody would know why."""
    directory = tmp_path / "secrets"
    before = load_keys(directory)
    (directory / OPRF_SEED).rename(tmp_path / "kept")
    with pytest.raises(SecretFileError, match=r"oprf\.seed is missing; restore it"):
        load_keys(directory)
    (tmp_path / "kept").rename(directory / OPRF_SEED)
    assert load_keys(directory) == before
    (directory / OPRF_SEED).chmod(0o640)
    with pytest.raises(SecretFileError, match=r"oprf\.seed is open to other users"):
        load_keys(directory)
