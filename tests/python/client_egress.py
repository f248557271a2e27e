"""Network policy and Credential Vault of a sandbox through the published client. Arguments: direct or proxy, secret.

`api.test` and `other.test` are servers outside; the one that starts this looks at what reaches them.
"""

import asyncio
import sys
from datetime import timedelta

from opensandbox import Sandbox, SandboxSync
from opensandbox.config import ConnectionConfig, ConnectionConfigSync
from opensandbox.exceptions import SandboxApiException, SandboxException
from opensandbox.models.sandboxes import (
    Credential,
    CredentialBinding,
    CredentialBindingMutationSet,
    CredentialMutationSet,
    CredentialProxyConfig,
    NetworkPolicy,
    NetworkRule,
)

IMAGE = "sandkeep/base:latest"
PROXY = sys.argv[1] == "proxy"
SECRET = sys.argv[2]
WISH = {
    "timeout": timedelta(minutes=10),
    "resource": {"cpu": "1", "memory": "500Mi"},
    "ready_timeout": timedelta(minutes=3),
    "network_policy": NetworkPolicy(
        default_action="deny",
        egress=[NetworkRule(action="allow", target="api.test"), NetworkRule(action="deny", target="other.test")],
    ),
    "credential_proxy": CredentialProxyConfig(enabled=True),
}


def rules(policy):
    return [(rule.action, rule.target) for rule in policy.egress]


def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except SandboxException as error:
        assert SECRET not in str(error), "an error tells the secret"
        return error.status_code if isinstance(error, SandboxApiException) else None
    raise AssertionError("not refused")


def fetch(sandbox, host):
    execution = sandbox.commands.run(f"curl -sS --max-time 60 https://{host}/echo")
    return execution.exit_code, execution.text


def policy(sandbox):
    shown = sandbox.get_egress_policy()
    assert shown.default_action == "deny", shown
    assert rules(shown) == [("allow", "api.test"), ("deny", "other.test")], shown
    assert fetch(sandbox, "other.test")[0] != 0, "a denied host is reached"
    sandbox.patch_egress_rules(
        [NetworkRule(action="allow", target="OTHER.test"), NetworkRule(action="deny", target="x.test")]
    )
    shown = sandbox.get_egress_policy()
    expected = [("allow", "OTHER.test"), ("deny", "x.test"), ("allow", "api.test")]
    assert [(a, t.lower()) for a, t in rules(shown)] == [(a, t.lower()) for a, t in expected], shown
    assert fetch(sandbox, "other.test")[0] == 0, "an allowed host is not reached"
    sandbox.delete_egress_rules(["x.test", "nobody.test"])
    assert [target.lower() for _, target in rules(sandbox.get_egress_policy())] == ["other.test", "api.test"]
    assert sandbox.get_egress_policy().default_action == "deny"
    sandbox.delete_egress_rules(["other.test"])
    assert fetch(sandbox, "other.test")[0] != 0, "a host is reached whose rule is gone"
    sandbox.patch_egress_rules([NetworkRule(action="allow", target="other.test")])


def vault(sandbox):
    vault = sandbox.credential_vault
    assert refused(vault.get) == 404
    binding = {"name": "api", "match": {"hosts": ["api.test"]}, "auth": {"type": "bearer", "credential": "key"}}
    state = vault.create(
        credentials=[Credential(name="key", source={"type": "inline", "value": SECRET})],
        bindings=[CredentialBinding(**binding)],
    )
    assert state.revision == 1 and [c.name for c in state.credentials] == ["key"], state
    assert SECRET not in state.model_dump_json()
    assert refused(vault.create, credentials=[], bindings=[]) == 409
    assert vault.get() == state
    assert vault.list_credentials() == state.credentials
    assert vault.get_credential("key").source_type == "inline"
    assert [b.name for b in vault.list_bindings()] == ["api"]
    shown = vault.get_binding("api")
    assert shown.match.hosts == ["api.test"] and shown.auth.type == "bearer", shown
    assert refused(vault.get_binding, "none") == 404 and refused(vault.get_credential, "none") == 404
    code, text = fetch(sandbox, "api.test")
    assert code == 0 and "you sent Bearer ***" in text and SECRET not in text, (code, text)

    changed = vault.patch(
        expected_revision=1,
        credentials=CredentialMutationSet(
            add=[{"name": "second", "source": {"type": "inline", "value": SECRET + "-2"}}],
        ),
        bindings=CredentialBindingMutationSet(
            add=[
                {
                    "name": "other",
                    "match": {"hosts": ["other.test"], "methods": ["GET"], "paths": ["/echo"]},
                    "auth": {"type": "apiKey", "name": "X-Api-Key", "credential": "second"},
                }
            ],
        ),
    )
    assert changed.revision == 2 and len(changed.bindings) == 2, changed
    assert refused(vault.patch, expected_revision=1, credentials={"delete": ["second"]}) == 409
    assert refused(vault.patch, credentials={"delete": ["second"]}) == 400, "a bound secret is deleted"
    code, text = fetch(sandbox, "other.test")
    assert code == 0 and "you sent ***" in text and SECRET not in text, (code, text)
    assert refused(sandbox.delete_egress_rules, ["other.test"]) == 400, "a bound host loses its rule"
    changed = vault.patch(
        expected_revision=2,
        credentials={"replace": [{"name": "key", "source": {"type": "inline", "value": SECRET + "-3"}}], "delete": ["second"]},
        bindings={"delete": ["other"]},
    )
    assert changed.revision == 3 and vault.get_credential("key").revision == 3, changed
    code, text = fetch(sandbox, "api.test")
    assert code == 0 and SECRET not in text, (code, text)
    vault.delete()
    assert refused(vault.get) == 404
    assert fetch(sandbox, "api.test") == (0, "you sent none.")


def blocking():
    config = ConnectionConfigSync(use_server_proxy=PROXY, request_timeout=timedelta(minutes=2))
    sandbox = SandboxSync.create(IMAGE, connection_config=config, **WISH)
    try:
        policy(sandbox)
        vault(sandbox)
    finally:
        sandbox.destroy()


async def asynchronous():
    config = ConnectionConfig(use_server_proxy=PROXY, request_timeout=timedelta(minutes=2))
    sandbox = await Sandbox.create(IMAGE, connection_config=config, **WISH)
    try:
        await sandbox.patch_egress_rules([NetworkRule(action="allow", target="other.test")])
        assert [target for _, target in rules(await sandbox.get_egress_policy())] == ["other.test", "api.test"]
        await sandbox.delete_egress_rules(["other.test"])
        binding = {"name": "api", "match": {"hosts": ["api.test"]}, "auth": {"type": "bearer", "credential": "key"}}
        credential = {"name": "key", "source": {"type": "inline", "value": SECRET}}
        state = await sandbox.credential_vault.create(credentials=[credential], bindings=[binding])
        assert state.revision == 1 and await sandbox.credential_vault.get() == state
        execution = await sandbox.commands.run("curl -sS --max-time 60 https://api.test/echo")
        assert "you sent Bearer ***" in execution.text, execution
        replaced = {"replace": [{**credential, "source": {"type": "inline", "value": SECRET + "-2"}}]}
        assert (await sandbox.credential_vault.patch(expected_revision=1, credentials=replaced)).revision == 2
        assert [b.name for b in await sandbox.credential_vault.list_bindings()] == ["api"]
        assert [c.revision for c in await sandbox.credential_vault.list_credentials()] == [2]
        await sandbox.credential_vault.delete()
    finally:
        await sandbox.destroy()


blocking()
asyncio.run(asynchronous())
print("ok")
