"""Signing in, the part `signin` of sdk_http.py: who gets in, as whom, and how all others are refused.

The issuer is `oidc.py`, which others wrote; what it would never sign is forged with its keys. The
server is told of it by OAUTH_*, and of two keys by API_KEYS_FILE.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import pathlib
import re
import secrets
import tempfile
import time
import urllib.request

import anyio
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

import oidc
import serving
from sdk_checks import MODERN, vms
from tally import bad, expect, follow, good

BACK = "http://127.0.0.1:9/back"  # nothing is there: `Person` stops before it
ROTATED_WITHIN = 45  # seconds; an unknown key is looked for once in 30


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(server, headers, method="tools/list", **params):
    """One request of the newest era: status, the challenge, the body as text."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}})
    needed = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": method,
        **({"Mcp-Name": params["name"]} if "name" in params else {}),
    }
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    link.putrequest("POST", "/mcp")
    for name, value in [*needed.items(), ("Content-Length", str(len(body))), *headers]:
        link.putheader(name, value)
    link.endheaders(body.encode())
    answer = link.getresponse()
    said = answer.read().decode()
    link.close()
    return answer.status, answer.getheader("WWW-Authenticate") or "", said


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


def refused(server, headers, statuses, *words):
    """Nothing of what was sent comes back."""
    status, challenge, said = raw(server, headers)
    expect(status in statuses, f"{status}: {said[:300]}")
    for word in words:
        expect(word in challenge, f"the challenge does not say {word!r}: {challenge!r}")
    for _, value in headers:
        sent = value.rpartition(" ")[2]
        expect(len(sent) < 16 or sent not in said + challenge, "what was sent comes back")
    return challenge


def keys_file(folder):
    """Its path, and the keys of a super admin and of a reader."""
    keys = [secrets.token_hex(32) for _ in range(2)]
    groups = ["vsphere-super-admins", "vsphere-readers"]
    rows = [f"key{i}:{group}:{hashlib.sha256(key.encode()).hexdigest()}" for i, (key, group) in enumerate(zip(keys, groups))]
    path = pathlib.Path(folder) / "keys"
    path.write_text("# name:groups:digest\n" + "\n".join(rows) + "\n")
    path.chmod(0o600)
    return path, *keys


def confused(issuer, claims):
    """HS256 with what the issuer publishes as the secret."""
    key = next(it for it in issuer.get("/jwks")["keys"] if it["kty"] == "RSA")
    head = b64(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": key["kid"]}).encode())
    message = f"{head}.{b64(json.dumps(claims).encode())}"
    return f"{message}.{b64(hmac.new(json.dumps(key).encode(), message.encode(), hashlib.sha256).digest())}"


def refusals(t, server, issuer, other, reader_key):
    here, now = server.url, int(time.time())
    with t.check("who brings nothing is told where to sign in, and nothing of an error"):
        challenge = refused(server, [], [401], "Bearer", "resource_metadata=")
        expect("error=" not in challenge, f"{challenge}")
        at = re.search(r'resource_metadata="([^"]+)"', challenge)[1]
        opener = urllib.request.build_opener(oidc.DIRECT)
        for url in (at, f"http://127.0.0.1:{server.port}/.well-known/oauth-protected-resource"):
            with opener.open(url, timeout=10) as answer:
                document = json.load(answer)
            expect(document["resource"] == here, f"{url}: {document}")
            expect(document["authorization_servers"] == [issuer.issuer], f"{url}: {document}")
            expect("offline_access" not in document.get("scopes_supported", []), f"{url}: {document}")
    claims = {"iss": issuer.issuer, "aud": here, "sub": "svc-ann", "iat": now, "exp": now + 300,
              "groups": ["vsphere-super-admins"]}  # fmt: skip
    unsigned = ".".join([b64(b'{"alg":"none"}'), b64(json.dumps(claims).encode()), ""])
    good_one = issuer.token("svc-ann", here)
    head, _, signature = good_one.split(".")
    for what, token in [
        ("words", "no-such-token"),
        ("a token that is expired", issuer.forge({"aud": here, "iat": now - 900, "exp": now - 300})),
        ("a token that never expires", issuer.forge({"aud": here, "exp": None})),
        ("a token of tomorrow", issuer.forge({"aud": here, "nbf": now + 86400})),
        ("a token for another server, by the issuer itself", issuer.token("svc-ann", "https://other.example/mcp")),
        ("a token for this host but another path", issuer.token("svc-ann", here + "/more")),
        ("a token for nobody", issuer.forge({"aud": None})),
        ("a token of another issuer", other.token("svc-ann", here)),
        ("a token of another issuer in this one's name", other.forge({"aud": here, "iss": issuer.issuer})),
        ("a token of nobody", issuer.forge({"aud": here, "sub": None})),
        ("a token that is not signed", unsigned),
        ("a token signed with the public key", confused(issuer, claims)),
        ("a token with other claims", f"{head}.{b64(json.dumps(claims).encode())}.{signature}"),
        ("a token that was cut", good_one[:-10]),
    ]:
        with t.check(f"{what} is refused"):
            refused(server, bearer(token), [401], "Bearer", 'error="invalid_token"')
    with t.check("a token that is longer than any header may be is refused"):
        with contextlib.suppress(OSError):  # the rest of it may find nobody who reads
            refused(server, bearer(f"{head}.{b64(bytes(100_000))}.{signature}"), [401, 431])
    with t.check("a wrong key is refused, and a token sent as a key"):
        refused(server, [("X-API-Key", secrets.token_hex(32))], [401])
        refused(server, [("X-API-Key", good_one)], [401])
    with t.check("an empty token, two of them, or another scheme are refused"):
        refused(server, [("Authorization", "Bearer ")], [400, 401])
        refused(server, [*bearer(good_one), *bearer(reader_key)], [400, 401])
        refused(server, [*bearer(good_one), ("X-API-Key", reader_key)], [400, 401])
        refused(server, [("Authorization", "Basic YWRtaW46YWRtaW4=")], [401])
    with t.check("a token in the address is none"):
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        link.request("POST", f"/mcp?access_token={good_one}", "{}", {"Content-Type": "application/json"})
        status = link.getresponse().status
        link.close()
        expect(status == 401, f"{status}")
    with t.check("who is in no group may do nothing: 403, and not the advice to sign in again"):
        refused(server, bearer(issuer.token("svc-nob", here)), [403], 'error="insufficient_scope"')
    with t.check("a reader who wants more: by token a challenge for more, by key an error of the tool"):
        want = {"method": "tools/call", "name": "power_off", "arguments": {"name": "no-such-vm"}}
        status, challenge, said = raw(server, bearer(issuer.token("svc-ron", here)), **want)
        expect(status == 403 and 'error="insufficient_scope"' in challenge, f"{status} {challenge} {said[:200]}")
        status, _, said = raw(server, [("X-API-Key", reader_key)], **want)
        expect(status == 200 and json.loads(said)["result"]["isError"], f"{status} {said[:200]}")
    with t.check("tokens made up by strangers cost the issuer nothing"):
        before = issuer.asked().get("/jwks", 0)
        for number in range(50):
            refused(server, bearer(issuer.forge({"aud": here}, kid=f"made-up-{number}")), [401])
        after = issuer.asked().get("/jwks", 0)
        expect(after - before <= 1, f"50 tokens with unknown keys had its keys fetched {after - before} times")


class Storage:
    """What the client remembers of an issuer."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def person(url, name):
    """Signs in as the client does for a person: from the 401 on, all by itself."""
    sent = {}
    browser = oidc.Person(name)

    async def go(where):
        sent.update(await anyio.to_thread.run_sync(browser.visit, where, BACK))

    async def back():
        expect("code" in sent, f"sent back with {sent}")
        return AuthorizationCodeResult(code=sent["code"], state=sent.get("state"), iss=sent.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="a client",
        redirect_uris=[BACK],
        grant_types=["authorization_code"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    return OAuthClientProvider(url, metadata, Storage(), go, back)


async def clients(t, mode, server, issuer, admin_key, reader_key, connect):
    here = server.url

    def token(client):
        return {"Authorization": f"Bearer {issuer.token(client, here)}"}

    for what, how, may in [
        ("a key as Bearer", {"headers": {"Authorization": f"Bearer {admin_key}"}}, True),
        ("a key as X-API-Key", {"headers": {"X-API-Key": admin_key}}, True),
        ("a reader's key", {"headers": {"X-API-Key": reader_key}}, False),
        ("a token by RS256", {"headers": token("svc-ann")}, True),
        ("a token by ES256", {"headers": token("svc-ann.es256")}, True),
        ("a token by EdDSA", {"headers": token("svc-ann.eddsa")}, True),
        ("a token that must be introspected", {"headers": token("svc-ann.opaque")}, True),
        ("a reader's token", {"headers": token("svc-ron")}, False),
        ("a person who signs in", {"auth": person(here, "ann")}, True),
        ("a person who may only read", {"auth": person(here, "ron")}, False),
    ]:
        with t.check(f"{what}: sees and may do what its groups may"):
            async with connect(here, mode, **how) as client:
                tools = {tool.name for tool in await follow(client.list_tools, "tools")}
                expect("list_vms" in tools and ("power_off" in tools) == may, f"{sorted(tools)}")
                name = vms(good(await client.call_tool("list_vms", {})))[0]["name"]
                if may:
                    good(await client.call_tool("power_off", {"name": name, "dry_run": True}))
                elif "headers" in how and "X-API-Key" in how["headers"]:
                    bad(await client.call_tool("power_off", {"name": name, "dry_run": True}))
    with t.check("without anything the client gets nothing"):
        try:
            async with connect(here, mode) as client:
                await client.list_tools()
        except Exception:
            return
        raise AssertionError("it was let in")


async def rotation(server, issuer):
    """The old keys are gone from the issuer; the server finds that out by itself."""
    issuer.rotate()
    token = issuer.token("svc-ann", server.url)
    end = time.monotonic() + ROTATED_WITHIN
    while True:
        status, _, said = raw(server, bearer(token))
        if status == 200:
            return
        expect(status == 401 and time.monotonic() < end, f"{status} {said[:300]}")
        await anyio.sleep(1)


def run(t, modes, command, environment, connect):
    with oidc.Provider() as issuer, oidc.Provider() as other, tempfile.TemporaryDirectory() as folder:
        path, admin_key, reader_key = keys_file(folder)
        server = serving.Serving(command, environment)
        server.environment |= {"API_KEYS_FILE": str(path), **issuer.environment(server.url.removesuffix("/mcp"))}
        with server:
            t.where = "signin"
            refusals(t, server, issuer, other, reader_key)
            for mode in modes:
                t.where = f"signin {mode}"
                anyio.run(clients, t, mode, server, issuer, admin_key, reader_key, connect)
            t.where = "signin"
            with t.check("the issuer's new keys are found, without a restart"):
                anyio.run(rotation, server, issuer)
    with t.check("ends well, and logged neither key nor password nor the start of a token"):
        expect(server.code == 0, f"it ended with {server.code}: {server.said[-300:]}")
        for value in [admin_key, reader_key, environment.get("ESXI_PASS", "eyJ"), "eyJ", "the-server-secret"]:
            expect(value not in server.said, "a secret is in the log")
