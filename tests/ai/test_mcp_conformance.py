"""`@modelcontextprotocol/conformance` against a client made of our MCP servers. Skipped where npm cannot install it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

VERSION = "0.1.16"
PACKAGES = [f"@modelcontextprotocol/conformance@{VERSION}", "node@24"]
"""It needs a newer Node than most systems have."""
ROOT = Path(__file__).parents[2]
NOT_FOR_US = {
    "auth/2025-03-26-oauth-metadata-backcompat": "the SDK refuses metadata whose issuer is not the server it came from",
    "auth/cross-app-access-complete-flow": "tokens of an enterprise's identity provider, left to programs",
}
"""See docs/mcp.md."""


@pytest.fixture(scope="module")
def conformance() -> list[str]:
    """The command, installed once for all test sessions."""
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed: conformance of the MCP client is not tested")
    folder = Path.home() / ".cache" / "holdfast-tests" / f"mcp-conformance-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "installed").exists():
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=100)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm cannot install the conformance suite, the MCP client is not tested with it: {error}")
        (folder / "installed").touch()
    modules = folder / "node_modules"
    return [str(modules / ".bin/node"), str(modules / "@modelcontextprotocol/conformance/dist/index.js")]


def ask(conformance: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*conformance, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


SCENARIOS = [
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/basic-cimd",
    "auth/scope-from-www-authenticate",
    "auth/scope-from-scopes-supported",
    "auth/scope-omitted-when-undefined",
    "auth/scope-step-up",
    "auth/scope-retry-limit",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-post",
    "auth/token-endpoint-auth-none",
    "auth/pre-registration",
    "auth/2025-03-26-oauth-endpoint-fallback",
    "auth/resource-mismatch",
    "auth/offline-access-scope",
    "auth/offline-access-not-supported",
    "auth/client-credentials-jwt",
    "auth/client-credentials-basic",
]


def test_every_scenario_is_run_or_left_out_for_a_reason(conformance: list[str]) -> None:
    listed = ask(conformance, "list", "--client").stdout
    names = {line.split()[1] for line in listed.splitlines() if line.startswith("  - ")}
    assert names == {*SCENARIOS, *NOT_FOR_US}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_client_conforms(conformance: list[str], scenario: str) -> None:
    command = f"{sys.executable} -m tests.ai.mcp_conformance_client"
    done = ask(conformance, "client", "--command", command, "--scenario", scenario)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OVERALL: PASSED" in done.stdout + done.stderr
