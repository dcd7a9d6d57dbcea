"""What operators copy: units, the tunnel's rules, proxies. Proxies run before a real relay, and `relay doctor` must find nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
import yaml

from relay.config import Settings, is_onion_service
from relay.probe import Probe, ProbeError
from relay.routes.table import CALLS
from tests.commands.operator_shell import Shell, run_relay
from tests.deploy.ingress import BadIngress, service_for, validate
from tests.live.relay_process import ROOT, running_relay
from tests.postgres.server import temporary_directory

DEPLOY = ROOT / "deploy"
UNITS = [*sorted(path.name for path in (DEPLOY / "systemd").glob("*.service")), "sottovoce-backup.timer"]
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSED = 2.0

# -- units -----------------------------------------------------------------------------------------------------------------

needs_systemd = pytest.mark.skipif(
    SYSTEMD_ANALYZE is None and os.geteuid() != 0, reason="no systemd-analyze: make setup-operator, as root"
)


def analyzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert SYSTEMD_ANALYZE is not None
    return subprocess.run([SYSTEMD_ANALYZE, *arguments], capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
def test_units_are_understood(tmp_path: Path) -> None:
    """Programs that are not installed here stand aside for one that is."""
    for name in UNITS:
        text = re.sub(
            r"^ExecStart=\S+", "ExecStart=/bin/true", (DEPLOY / "systemd" / name).read_text(), flags=re.MULTILINE
        )
        (tmp_path / name).write_text(text)
    done = analyzed("verify", "--man=no", *(str(tmp_path / name) for name in UNITS))
    ours = [
        line
        for line in done.stderr.splitlines()
        if str(tmp_path) in line or "sottovoce" in line or "cloudflared" in line
    ]
    assert ours == []
    (tmp_path / "sottovoce.service").write_text("[Service]\nExecStart=/bin/true\nProtectSytem=yes\n")
    assert "ProtectSytem" in analyzed("verify", "--man=no", str(tmp_path / "sottovoce.service")).stderr


@needs_systemd
@pytest.mark.parametrize("name", ["sottovoce.service", "cloudflared.service"])
def test_units_are_closed_in(name: str) -> None:
    done = analyzed("security", "--offline=true", "--no-pager", str(DEPLOY / "systemd" / name))
    score = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert score is not None, done.stderr
    assert float(score[1]) < MOST_EXPOSED


def test_the_relays_unit_starts_what_the_page_says() -> None:
    unit = (DEPLOY / "systemd/sottovoce.service").read_text()
    assert "KillMode=mixed" in unit  # a worker that hears SIGTERM itself dies without a word
    files = re.search(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)
    assert files is not None
    assert int(files[1]) > Settings().max_sessions + 256


# -- the tunnel ------------------------------------------------------------------------------------------------------------

RULES = yaml.safe_load((ROOT / "cloudflared.yml").read_text())["ingress"]
RELAY, NOTHING = "http://127.0.0.1:8000", "http_status:404"


def test_the_tunnel_leads_every_call_to_the_relay() -> None:
    validate(RULES)
    paths = {call.path.replace("{account_id}", "8d5fbe44-0f1f-4f66-b3b5-1a1d0c6c7a01") for call in CALLS}
    paths |= {"/v1/mailbox", "/v1/post", "/join", "/join/join.js", "/join/sottovoce.apk"}
    assert {service_for(RULES, "relay.example.org", path) for path in paths} == {RELAY}
    assert service_for(RULES, "relay.example.org:443", "/v1/relay") == RELAY


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("relay.example.org", "/metrics"),
        ("relay.example.org", "/"),
        ("relay.example.org", "/joined"),
        ("relay.example.org", "/admin/v1/"),
        ("relay.example.org", "/v2/relay"),
        ("other.example.org", "/v1/relay"),
        ("example.org", "/v1/relay"),
        ("relay.example.org.evil.example", "/v1/relay"),
        ("127.0.0.1", "/metrics"),
    ],
)
def test_the_tunnel_leads_nothing_else_there(host: str, path: str) -> None:
    assert service_for(RULES, host, path) == NOTHING


@pytest.mark.parametrize(
    "rules",
    [
        [],
        RULES[:-1],
        [RULES[-1], *RULES],
        [{"hostname": "a.*.example", "service": RELAY}, RULES[-1]],
        [{"hostname": "a.example:443", "service": RELAY}, RULES[-1]],
        [{"hostname": "a.example"}, RULES[-1]],
    ],
)
def test_rules_that_cloudflared_refuses_are_refused(rules: list[dict[str, str]]) -> None:
    with pytest.raises(BadIngress):
        validate(rules)


def test_how_rules_match() -> None:
    rules = [
        {"hostname": "*.example.org", "path": "static", "service": "http_status:201"},
        {"hostname": "a.example.org", "service": "http_status:202"},
        {"service": NOTHING},
    ]
    assert service_for(rules, "a.example.org", "/x/static/y") == "http_status:201"
    assert service_for(rules, "a.example.org", "/") == "http_status:202"
    assert service_for(rules, "example.org", "/static") == NOTHING
    assert service_for(rules, "a.example.org.evil", "/static") == NOTHING


# -- proxies ---------------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def nginx(directory: Path, port: int, upstream: int, certificate: Path, key: Path) -> Iterator[None]:
    text = (DEPLOY / "proxy/nginx.conf").read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "    listen [::]:80;\n": "",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "    listen [::]:443 ssl;\n": "",
        "relay.example.org;": "localhost;",
        "/etc/letsencrypt/live/relay.example.org/fullchain.pem": str(certificate),
        "/etc/letsencrypt/live/relay.example.org/privkey.pem": str(key),
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "proxy_set_header Host $host;": "proxy_set_header Host $http_host;",  # the port of this test is none of nginx's
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    (directory / "nginx.conf").write_text(
        f"daemon off;\npid {directory}/nginx.pid;\nerror_log {directory}/nginx.log;\nevents {{}}\n"
        f"http {{\nclient_body_temp_path {directory}/body;\nproxy_temp_path {directory}/proxy;\n"
        f"fastcgi_temp_path {directory}/f;\nuwsgi_temp_path {directory}/u;\nscgi_temp_path {directory}/s;\n{text}\n}}\n"
    )
    with running(["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")], directory):
        yield


@contextmanager
def caddy(directory: Path, port: int, upstream: int, certificate: Path, key: Path) -> Iterator[None]:
    text = (DEPLOY / "proxy/Caddyfile").read_text()
    for old, new in {
        "\tadmin off\n": "\tadmin off\n\tauto_https off\n",
        "relay.example.org {": f"https://localhost:{port} {{\n\ttls {certificate} {key}",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    (directory / "Caddyfile").write_text(text)
    with running(["caddy", "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")], directory):
        yield


@contextmanager
def running(command: list[str], directory: Path) -> Iterator[None]:
    environ = {
        "PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(directory),
        "XDG_DATA_HOME": str(directory),
    }
    with (directory / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(name, path="/usr/sbin:/usr/bin") is None and os.geteuid() != 0,
        reason=f"no {name}: make setup-operator, as root",
    )


@pytest.mark.parametrize(
    "proxy",
    [pytest.param(nginx, marks=needs("nginx"), id="nginx"), pytest.param(caddy, marks=needs("caddy"), id="caddy")],
)
def test_a_proxy_as_we_advise_it_lets_everything_through(proxy: object) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    with temporary_directory() as directory:
        certificate, key, roots = directory / "chain.pem", directory / "key.pem", directory / "ca.pem"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        authority.cert_pem.write_to_path(str(roots))
        port = free_port()
        url = f"https://localhost:{port}"
        shell = Shell(directory, environ={"SSL_CERT_FILE": str(roots)}, settings={"max_sessions": "200"})
        made = run_relay(shell, "init", ".", "--public-url", url, "--trust-root-to", str(directory / "stick"))
        assert made.returncode == 0, made.stderr
        with (
            running_relay(directory, public_url=url, max_sessions=200) as relay,
            proxy(directory, port, relay.port, certificate, key),  # type: ignore[operator]
        ):
            wait_for(port)
            found = run_relay(shell, "doctor", "--free", "0", "--json")
            assert [one for one in json.loads(found.stdout)["findings"] if one["level"] != "good"] == []
            checked = run_relay(shell, "check", "--json")
            assert json.loads(checked.stdout)["ok"] is True, checked.stdout
            hidden = subprocess.run(
                ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(roots), url + "/metrics"],
                capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            assert hidden.stdout == "404"
            assert "127.0.0.1" not in (directory / "proxy.log").read_text().replace(f"127.0.0.1:{relay.port}", "")


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            Probe(f"http://127.0.0.1:{port}", within_s=2).call("GET", "/")
        except ProbeError as error:
            if "refused" not in str(error).lower():
                return  # it speaks, if TLS only
        else:
            return
        assert time.monotonic() < deadline, "the proxy did not start"
        time.sleep(0.1)


# -- the onion service -----------------------------------------------------------------------------------------------------


@needs("tor")
def test_tor_takes_the_onion_service(tmp_path: Path) -> None:
    """Without a network, and so without anybody who could reach it: the service gets its name, and it is one that apps take."""
    service = tmp_path / "service"
    text = (DEPLOY / "onion/torrc").read_text()
    assert "/var/lib/tor/sottovoce/" in text
    settings = tmp_path / "torrc"
    settings.write_text(
        text.replace("/var/lib/tor/sottovoce/", str(service))
        + f"DataDirectory {tmp_path}/data\nSocksPort 0\nDisableNetwork 1\nLog notice stderr\n"
    )
    command = ["tor", "-f", str(settings), "--defaults-torrc", "/dev/null"]
    checked = subprocess.run([*command, "--verify-config"], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout
    with running(command, tmp_path):
        deadline = time.monotonic() + 60
        while not (service / "hostname").exists():
            assert time.monotonic() < deadline, (tmp_path / "proxy.log").read_text()
            time.sleep(0.1)
        name = (service / "hostname").read_text().strip()
    assert is_onion_service(f"http://{name}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"http://{'a' * 55}d.onion", True),
        (f"http://{'a' * 55}d.onion:8080/x", True),
        (f"http://{'a' * 55}d.onion.evil.example", False),
        (f"http://x.{'a' * 55}d.onion", False),
        (f"http://{'a' * 55}d.onion@evil.example", False),
        (f"http://{'a' * 56}.onion", False),
        (f"http://{'a' * 54}d.onion", False),
        ("http://facebookcorewwwi.onion", False),
        ("http://onion", False),
    ],
)
def test_what_is_an_onion_service(url: str, expected: bool) -> None:
    assert is_onion_service(url) is expected


# -- containers ------------------------------------------------------------------------------------------------------------


def test_containers_get_no_more_than_they_need() -> None:
    compose = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
    assert set(compose["services"]) == {"relay", "postgres", "coturn", "cloudflared", "ntfy"}
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert "privileged" not in service
        assert "ports" not in service  # the tunnel is the way in, and coturn has the machine's network
        image = service.get("image")
        assert image is None or not image.endswith(":latest"), name
    assert compose["networks"]["inside"]["internal"] is True
    assert compose["services"]["postgres"]["networks"] == ["inside"]
    settings = compose["services"]["relay"]["environment"]
    assert {name.removeprefix("SOTTOVOCE_").lower() for name in settings} <= set(Settings.model_fields)
