"""Things that are there, for requests made up from a document: made when they are first needed, and again when a request
has taken them away.

Everything is made through the API under test, whose address and headers come by the environment.
"""

import itertools
import json
import os
import time

import requests

PATIENCE = 120
# A host that has no room now is no defect.
NO_ROOM = {429, 503}


class NoRoom(Exception):
    """Something cannot be made now."""


class Daemon:
    """An API, and what has been made through it."""

    # What a path's members stand for, by name: methods that return something living.
    members = {}

    def __init__(self, url, headers):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(headers)
        self.made = {}

    def call(self, method, path, body=None, expect=None, **options):
        answer = self.session.request(method, self.url + path, json=body, timeout=PATIENCE, **options)
        if expect is not None and answer.status_code in NO_ROOM:
            raise NoRoom(answer.text)
        assert expect is None or answer.status_code == expect, (method, path, answer.status_code, answer.text)
        return answer

    def until(self, path, is_done):
        since = time.monotonic()
        while not is_done(shown := self.call("GET", path, expect=200).json()):
            assert time.monotonic() - since < PATIENCE, (path, shown)
            time.sleep(0.02)
        return shown

    def kept(self, kind, path, make):
        """What was made before if it is still there, else another."""
        known = self.made.get(kind)
        if known is None or self.call("GET", path.format(known)).status_code != 200:
            known = self.made[kind] = make()
        return known

    def enliven(self, operation, parameters, query, turn):
        """Puts what is there in the place of what was made up."""
        for name in parameters:
            if find := self.members.get(name):
                parameters[name] = find(self, operation, turn)

    def bound(self, operation, body):
        """Keeps a request that would now succeed from filling the host."""

    def tidy(self, operation, answer):
        """Takes away what a request has made."""


class Lifecycle(Daemon):
    STATES = ("Running", "Paused", "Running", "Stopped")

    def __init__(self, url, headers, image):
        super().__init__(url, headers)
        self.image = image
        self.numbers = itertools.count()

    def create(self, **more):
        wish = {
            "image": {"uri": self.image},
            "entrypoint": ["sleep", "infinity"],
            "resourceLimits": {"cpu": "1", "memory": "128Mi"},
            "timeout": 3600,
            **more,
        }
        made = self.call("POST", "/v1/sandboxes", wish, 202).json()["id"]
        self.until(f"/v1/sandboxes/{made}", lambda shown: shown["status"]["state"] == "Running")
        return made

    def in_state(self, kind, state, **more):
        path = "/v1/sandboxes/{}"
        if known := self.made.get(kind):
            shown = self.call("GET", path.format(known))
            if shown.status_code == 200:
                if shown.json()["status"]["state"] == state:
                    return known
                self.call("DELETE", path.format(known))
        made = self.made[kind] = self.create(**more)
        if state == "Paused":
            self.call("POST", f"/v1/sandboxes/{made}/pause", expect=202)
        if state == "Stopped":
            self.call("POST", f"/v1/sandboxes/{made}/stop", {}, 200)
        self.until(path.format(made), lambda shown: shown["status"]["state"] == state)
        return made

    def sandbox(self, operation, turn):
        if "networkpolicy" in operation.path:
            return self.in_state("guarded", "Running", networkPolicy={"defaultAction": "deny"})
        state = self.STATES[turn % len(self.STATES)]
        return self.in_state(state, state)

    def snapshot(self, *_):
        def make():
            source = self.in_state("Running", "Running")
            made = self.call("POST", f"/v1/sandboxes/{source}/snapshots", {}, 202).json()["id"]
            self.until(f"/v1/snapshots/{made}", lambda shown: shown["status"]["state"] == "Ready")
            return made

        return self.kept("snapshot", "/v1/snapshots/{}", make)

    def template(self, *_):
        def make():
            wish = {"image": self.image, "publish": f"living/number-{next(self.numbers)}"}
            made = self.call("POST", "/v1/templates", wish, 201).json()["templateId"]
            self.until(f"/v1/templates/{made}", lambda shown: shown["status"]["phase"] == "Succeeded")
            return made

        return self.kept("template", "/v1/templates/{}", make)

    def pool(self, *_):
        def make():
            name = f"living-{next(self.numbers)}"
            containers = [{"name": "sandbox", "image": self.image}]
            capacity = {"bufferMin": 0, "bufferMax": 1, "poolMin": 0, "poolMax": 2}
            wish = {"name": name, "template": {"spec": {"containers": containers}}, "capacitySpec": capacity}
            self.call("POST", "/v1/pools", wish, 201)
            return name

        return self.kept("pool", "/v1/pools/{}", make)

    def reference(self, *_):
        # In use, so that it stays.
        self.in_state("Running", "Running")
        return self.image

    members = {
        "sandboxId": sandbox,
        "snapshotId": snapshot,
        "templateId": template,
        "poolName": pool,
        "reference": reference,
        "port": lambda self, operation, turn: (44772, 44772, 1)[turn % 3],
        "path": lambda *_: "ping",
    }

    def bound(self, operation, body):
        capacity = body.get("capacitySpec") if isinstance(body, dict) else None
        if isinstance(capacity, dict):
            small = {name: min(most, 1) for name, most in capacity.items() if type(most) is int}
            body["capacitySpec"] = {**capacity, **small}

    def tidy(self, operation, answer):
        if operation.label == "POST /v1/sandboxes" and answer.status_code == 202:
            self.call("DELETE", f"/v1/sandboxes/{answer.json()['id']}")


class Execd(Daemon):
    def streamed(self, path, body):
        """The id that a stream of events begins with."""
        with self.call("POST", path, body, 200, stream=True) as answer:
            for line in answer.iter_lines():
                event = json.loads(line.removeprefix(b"data:")) if line.strip() else {}
                if event.get("type") == "init":
                    return event["text"]
        raise AssertionError(f"{path}: no event says the id")

    def command(self, operation, turn):
        if operation.path.endswith("/stdin"):
            wish = {"command": "cat", "background": True, "stdin": True}
        else:
            wish = {"command": "echo living; sleep 3600", "background": True}
        wish = wish if turn % 2 else {"command": "echo ended; exit 3", "background": True}
        kind = f"command {wish['command']}"
        return self.kept(kind, "/command/status/{}", lambda: self.streamed("/command", wish))

    def context(self, *_):
        make = lambda: self.call("POST", "/code/context", {"language": "bash"}, 200).json()["id"]
        return self.kept("context", "/code/contexts/{}", make)

    def shell(self):
        # Nothing shows one: another each time it may be gone.
        if "session" not in self.made:
            self.made["session"] = self.call("POST", "/session", {}, 200).json()["session_id"]
        return self.made["session"]

    def terminal(self):
        make = lambda: self.call("POST", "/pty", {}, 201).json()["session_id"]
        return self.kept("pty", "/pty/{}", make)

    def isolated(self):
        wish = {"workspace": {"path": "/srv"}}
        make = lambda: self.call("POST", "/v1/isolated/session", wish, 201).json()["session_id"]
        return self.kept("isolated", "/v1/isolated/session/{}", make)

    def any_session(self, operation, turn):
        if operation.path.startswith("/pty/"):
            return self.terminal()
        return self.isolated() if operation.path.startswith("/v1/isolated/") else self.shell()

    def run(self, *_):
        session = self.isolated()
        path = f"/v1/isolated/session/{session}/run"
        wish = {"code": "echo living", "background": True}
        make = lambda: self.call("POST", path, wish, 202).json()["run_id"]
        return self.kept("run", f"/v1/isolated/session/{session}/runs/{{}}", make)

    members = {
        "id": command,
        "context_id": context,
        "sessionId": any_session,
        "runId": run,
        "uid": lambda self, operation, turn: (0, 65534)[turn % 2],
        "gid": lambda self, operation, turn: (0, 65534)[turn % 2],
        "port": lambda self, operation, turn: (44772, 1)[turn % 2],
    }

    def enliven(self, operation, parameters, query, turn):
        super().enliven(operation, parameters, query, turn)
        if operation.method == "get" and "path" in query:
            is_file = operation.path.endswith(("download", "info"))
            query["path"] = "/etc/passwd" if is_file else "/etc/default"
        if "id" in query:
            query["id"] = self.context() if operation.path == "/code" else self.command(operation, 1)

    def tidy(self, operation, answer):
        if operation.label == "DELETE /session/{sessionId}":
            self.made.pop("session", None)


class Egress(Daemon):
    def vault(self):
        if self.call("GET", "/credential-vault/credentials/living").status_code == 200:
            return
        # A binding's host must be one that the policy allows.
        policy = {"defaultAction": "deny", "egress": [{"action": "allow", "target": "*.ok.test"}]}
        self.call("PUT", "/policy", policy, 200)
        self.call("DELETE", "/credential-vault")
        wish = {
            "credentials": [{"name": "living", "source": {"type": "inline", "value": "a secret of the test"}}],
            "bindings": [
                {
                    "name": "living",
                    "match": {"hosts": ["living.ok.test"]},
                    "auth": {"type": "bearer", "credential": "living"},
                }
            ],
        }
        self.call("POST", "/credential-vault", wish, 201)

    def name(self, *_):
        self.vault()
        return "living"

    members = {"credential_name": name, "binding_name": name}

    def enliven(self, operation, parameters, query, turn):
        super().enliven(operation, parameters, query, turn)
        if operation.path.startswith("/credential-vault") and operation.method != "post":
            self.vault()


def daemon():
    """The daemon the environment tells of."""
    told = json.loads(os.environ["SANDKEEP_LIVING"])
    kind = {"lifecycle": Lifecycle, "execd": Execd, "egress": Egress}[told.pop("daemon")]
    return kind(**told)
