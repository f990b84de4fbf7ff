#!/usr/bin/env python3
"""An OpenID provider of others for tests: `oidc.mjs` (which says who is who) as Python holds it.

    tests/peers/oidc.py      shows what it issues, and judges it by PyJWT
"""

import base64
import http.cookiejar
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import serving

# Loopback must not go through the proxy that a machine may have for everything else.
DIRECT = urllib.request.ProxyHandler({})


class Provider:
    """`with Provider() as issuer:`; it ends with the block, or with this process."""

    def __enter__(self):
        program = serving.BUILD.parent / "oidc.mjs"
        self.process = subprocess.Popen(
            [serving.NODE, "--no-warnings", program, serving.BUILD / "node"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        first = self.line()
        self.issuer = first["issuer"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def line(self):
        """Its next answer; what else it says (it warns of keys for development) is passed over."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("the OpenID provider ended: run tests/peers/install, then tests/peers/oidc.py")

    def wish(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self.line()

    def get(self, path):
        with urllib.request.build_opener(DIRECT).open(self.issuer + path, timeout=10) as answer:
            return json.load(answer)

    def token(self, client, resource):
        """By client_credentials, at the place that its document names."""
        at = self.get("/.well-known/openid-configuration")["token_endpoint"]
        form = {"grant_type": "client_credentials", "resource": resource, "scope": "groups"}
        basic = base64.b64encode(f"{client}:{client}-secret".encode()).decode()
        request = urllib.request.Request(at, urllib.parse.urlencode(form).encode(), {"Authorization": f"Basic {basic}"})
        with urllib.request.build_opener(DIRECT).open(request, timeout=10) as answer:
            return json.load(answer)["access_token"]

    def forge(self, claims, **header):
        """What the issuer would not sign, by its keys. Claims that are None are left out."""
        now = int(time.time())
        good = {"iss": self.issuer, "sub": "svc-ann", "iat": now, "exp": now + 300, "groups": ["vsphere-super-admins"]}
        claims = {name: it for name, it in {**good, **claims}.items() if it is not None}
        return self.wish(forge=claims, header=header)["token"]

    def rotate(self):
        return self.wish(rotate=True)["keys"]

    def asked(self):
        return self.wish(asked=True)["asked"]

    def environment(self, base):
        """What makes jumpvisor at `base` take its tokens."""
        return {
            "OAUTH_ENABLED": "true",
            "OAUTH_ISSUER_URL": self.issuer,
            "OAUTH_BASE_URL": base,
            "OAUTH_CLIENT_ID": "the-server",
            "OAUTH_CLIENT_SECRET": "the-server-secret",
            "OAUTH_GROUPS_CLAIM": "groups",
            "OAUTH_SCOPES": "groups",
        }


class Person:
    """A browser: goes where it is sent, signs in as `name` and consents, until it is sent back."""

    def __init__(self, name):
        self.name = name
        self.cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())

    def visit(self, url, back):
        """The parameters with which it was sent to `back`."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None

        opener = urllib.request.build_opener(DIRECT, self.cookies, Stay)
        form = None
        for _ in range(20):
            if url.startswith(back):
                return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
            try:
                with opener.open(url, form and urllib.parse.urlencode(form).encode(), timeout=10) as answer:
                    page = answer.read().decode()
            except urllib.error.HTTPError as e:
                if e.code not in (302, 303) or not e.headers["Location"]:
                    raise SystemExit(f"{url} answered {e.code}: {e.read(500).decode()}") from None
                url, form = urllib.parse.urljoin(url, e.headers["Location"]), None
                continue
            action = re.search(r'<form[^>]* action="([^"]+)"', page)
            if not action:
                raise SystemExit(f"{url} shows no form: {page[:300]}")
            form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
            if 'name="login"' in page:
                form |= {"login": self.name, "password": "any"}
            url = urllib.parse.urljoin(url, action[1])
        raise SystemExit(f"20 pages and no end: {url}")


def main():
    import jwt  # in the Python of the peers

    resource = "https://jump.example/mcp"
    with Provider() as issuer:
        print("document:", json.dumps(issuer.get("/.well-known/openid-configuration"))[:200], "...")
        for client in ("svc-ann", "svc-ron.es256", "svc-ann.eddsa", "svc-nob", "svc-ron.opaque"):
            token = issuer.token(client, resource)
            if client.endswith("opaque"):
                print(client, "is opaque:", token.count(".") != 2)
                continue
            key = jwt.PyJWKClient(f"{issuer.issuer}/jwks").get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key, [jwt.get_unverified_header(token)["alg"]], audience=resource)
            print(client, jwt.get_unverified_header(token), claims)
        print("rotated:", issuer.rotate())
        forged = issuer.forge({"aud": resource, "exp": int(time.time()) - 300})
        print("forged:", jwt.get_unverified_header(forged), "asked:", issuer.asked())


if __name__ == "__main__":
    sys.exit(main())
