"""relay init, and relay rotate with what init put aside."""

from __future__ import annotations

import os
import tomllib

from relay.config import load_settings
from relay.secret_files import load_keys, load_metrics_token, load_turn_secret
from tests.commands.operator_shell import Shell

MOST_KEYS = 15


async def test_a_relay_is_made_and_the_trust_root_is_elsewhere(bare_shell: Shell) -> None:
    directory = bare_shell.directory / "new"
    done = await bare_shell.relay(
        "init", str(directory), "--public-url", "https://relay.example.org", "--name", 'Häuser "9"'
    )
    assert (done.code, done.err) == (0, "")
    assert "relay invite" in done.out

    file = directory / "sottovoce.toml"
    written = tomllib.loads(file.read_text())
    assert len(written) <= MOST_KEYS
    settings = load_settings({"SOTTOVOCE_CONFIG": str(file)})
    assert (settings.name, settings.public_url) == ('Häuser "9"', "https://relay.example.org")
    assert settings.var_directory == directory / "var"  # absolute: commands may be typed elsewhere
    assert file.stat().st_mode & 0o777 == 0o600

    keys = load_keys(settings.secrets_directory)
    assert not (settings.secrets_directory / "trust_root.key").exists()
    trust_root = directory / "offline/trust_root.key"
    assert trust_root.stat().st_mode & 0o777 == 0o600
    assert trust_root.parent.stat().st_mode & 0o777 == 0o700

    # The trust root has left; everything works but replacing the server's key.
    moved = bare_shell.directory / "stick"
    trust_root.rename(moved)
    bare_shell.settings = {"config": str(file)}
    assert (await bare_shell.relay("rotate", "server-certificate", "--yes")).code == os.EX_NOPERM
    assert load_keys(settings.secrets_directory) == keys
    rotated = await bare_shell.relay("rotate", "server-certificate", "--yes", "--trust-root", str(moved), "--json")
    assert rotated.json()["files"] == ["server.key", "server_certificate.bin"]
    after = load_keys(settings.secrets_directory)
    assert (after.trust_root, after.server_key == keys.server_key) == (keys.trust_root, False)


async def test_it_says_what_a_rotation_costs_and_takes_no_for_an_answer(shell: Shell) -> None:
    keys = load_keys(shell.secrets)
    said_no = await shell.relay("rotate", "server-certificate", typed="n\n")
    assert said_no.code == 1
    assert "Nobody loses anything" in said_no.err
    assert load_keys(shell.secrets) == keys
    for what, file, load in (
        ("metrics-token", "metrics.token", load_metrics_token),
        ("turn-secret", "turn.secret", load_turn_secret),
    ):
        before = load(shell.secrets)
        assert (await shell.relay("rotate", what, "--yes", "--json")).json()["files"] == [file]
        assert load(shell.secrets) != before


async def test_the_trust_root_of_another_relay_is_refused(shell: Shell, bare_shell: Shell) -> None:
    keys = load_keys(shell.secrets)
    other = shell.directory / "other"
    assert (await shell.relay("init", str(other), "--public-url", "https://b.example")).code == 0
    done = await shell.relay(
        "rotate", "server-certificate", "--yes", "--trust-root", str(other / "offline/trust_root.key")
    )
    assert (done.code, "another trust root" in done.err) == (os.EX_NOPERM, True)
    assert load_keys(shell.secrets) == keys


async def test_nothing_is_overwritten(bare_shell: Shell) -> None:
    arguments = ("init", "new", "--public-url", "https://relay.example.org", "--json")
    made = (await bare_shell.relay(*arguments)).json()
    assert set(made) == {"settings", "secrets", "trust_root"}
    before = load_keys(bare_shell.directory / "new/var/secrets")
    again = await bare_shell.relay(*arguments)
    assert (again.code, again.out) == (os.EX_CANTCREAT, "")
    (bare_shell.directory / "new/sottovoce.toml").unlink()
    keys_left = await bare_shell.relay(*arguments)
    assert (keys_left.code, "keys in" in keys_left.err) == (os.EX_CANTCREAT, True)
    stick = bare_shell.directory / "stick"
    stick.write_bytes(b"somebody else's")
    occupied = await bare_shell.relay(
        "init", "third", "--public-url", "https://b.example", "--trust-root-to", str(stick)
    )
    assert occupied.code == os.EX_CANTCREAT
    assert stick.read_bytes() == b"somebody else's"
    assert load_keys(bare_shell.directory / "new/var/secrets") == before


async def test_what_cannot_work_is_refused_before_anything_is_made(bare_shell: Shell) -> None:
    for url in ("relay.example.org", "ftp://x.example", "https://", "https://u:p@x.example", "https://x.example/#c=1"):
        done = await bare_shell.relay("init", "new", "--public-url", url)
        assert (done.code, "https://relay.example.org" in done.err) == (2, True), url
    assert list(bare_shell.directory.iterdir()) == []
