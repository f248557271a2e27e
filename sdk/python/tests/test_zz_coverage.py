"""Every documented operation can be reached: this run has asked for each, or the reason is here."""

from __future__ import annotations

import re

from conftest import ROOT, asked

EXCEPTIONS = {
    "lifecycle": {},
    "execd": {
        "POST /handover": "the server's own: it gives a pooled sandbox to its user",
        "GET /openapi.json": "the document this package is made from",
        **{
            f"{method} /proxy/{{port}}{rest}": "for programs inside; from outside `Sandbox.request` goes the server's way"
            for method in ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH")
            for rest in ("", "/{path}")
        },
    },
    "egress": {
        "GET /healthz": "the server's own: it starts a sandbox's program once the rules are in force",
        "GET /credential-vault/_active": "answered on the sidecar's own socket only, never to a client",
        **{
            f"{method} /policy": "`Sandbox.network` asks the server, which asks the sidecar"
            for method in ("GET", "PUT", "POST", "PATCH", "DELETE")
        },
    },
}
INSIDE = {
    "execd": re.compile(r"/v1/sandboxes/[^/]+/proxy/44772(?=/)"),
    "egress": re.compile(r"/v1/sandboxes/[^/]+/proxy/18080(?=/)"),
}


def documented(name: str) -> list[str]:
    if name == "egress":
        text = (ROOT / "specs/openapi/egress.yaml").read_text()
        found = re.findall(r"^  (/\S*):$|^    (get|put|post|patch|delete):$", text, re.MULTILINE)
        paths, path = list[str](), ""
        for at, method in found:
            path = at or path
            if method:
                paths.append(f"{method.upper()} {path}")
        return paths
    lines = (ROOT / "tests/operations" / f"{name}.txt").read_text().splitlines()
    return [" ".join(line.split()[:2]) for line in lines if line.strip() and not line.startswith("#")]


def reached(operation: str, paths: set[tuple[str, str]]) -> bool:
    method, path = operation.split()
    # Only the last parameter of a proxied path may hold slashes.
    parts = (re.escape(part) if not part.startswith("{") else "[^/]+" for part in path.split("/"))
    pattern = re.compile("/".join(parts).replace("[^/]+", ".+") if path.endswith("/{path}") else "/".join(parts))
    return any(asked_method == method and pattern.fullmatch(asked_path) for asked_method, asked_path in paths)


def test_every_operation_is_reached() -> None:
    paths_of = {"lifecycle": {it for it in asked if not any(inside.match(it[1]) for inside in INSIDE.values())}}
    for name, inside in INSIDE.items():
        paths_of[name] = {(method, inside.sub("", path)) for method, path in asked if inside.match(path)}
    for name, paths in paths_of.items():
        exceptions = EXCEPTIONS[name]
        missing = [one for one in documented(name) if one not in exceptions and not reached(one, paths)]
        assert not missing, f"no test of this package asks for these of {name}: {missing}"
        gone = [one for one in exceptions if one not in documented(name)]
        assert not gone, f"exceptions that are documented no more: {gone}"


def test_patterns_match_whole_paths() -> None:
    assert reached("GET /a/{b}", {("GET", "/a/x")})
    assert not reached("GET /a/{b}", {("GET", "/a/x/y"), ("POST", "/a/x")})
    assert len(documented("egress")) > 10
    assert reached("GET /a/{path}", {("GET", "/a/x/y")})
