"""Tokens and keys as others make them: by PyJWT, and by hand where it refuses to.

Prints one JSON object a line: what it is, the issuer's keys, the token, and what must be said of it
("u1" where it is good). `tests/auth_tokens.rs` reads them.
"""

import base64
import hashlib
import hmac
import json
import time

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from jwt.algorithms import get_default_algorithms

ALGORITHMS = get_default_algorithms()
NOW = int(time.time())
CLAIMS = {
    "iss": "https://id.example",
    "aud": ["account", "https://jump.example/mcp"],
    "sub": "u1",
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 300,
    "scope": "openid groups",
    "groups": ["vsphere-admins"],
}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return b64(json.dumps(value).encode())


def jwk(key, made_for, **more):
    key = key.public_key()
    return {**json.loads(ALGORITHMS[made_for].to_jwk(key)), **more}


def line(what, keys, token, ends):
    print(json.dumps({"what": what, "keys": {"keys": keys}, "token": token, "ends": ends}))


def by_hand(header, claims, sign):
    message = f"{part(header)}.{part(claims)}"
    return f"{message}.{b64(sign(message.encode()))}"


rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
rsa_large = rsa.generate_private_key(public_exponent=3, key_size=4096)
rsa_small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
rsa_other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
p256 = ec.generate_private_key(ec.SECP256R1())
p384 = ec.generate_private_key(ec.SECP384R1())
p521 = ec.generate_private_key(ec.SECP521R1())
ed = ed25519.Ed25519PrivateKey.generate()

ALL = [
    jwk(rsa_key, "RS256", kid="rsa", use="sig"),
    jwk(rsa_large, "RS256", kid="large"),
    jwk(rsa_small, "RS256", kid="small"),
    jwk(p256, "ES256", kid="p256"),
    jwk(p384, "ES384", kid="p384"),
    jwk(p521, "ES512", kid="p521"),
    jwk(ed, "EdDSA", kid="ed"),
]

SIGNERS = [
    ("RS256", rsa_key, "rsa"),
    ("RS384", rsa_key, "rsa"),
    ("RS512", rsa_key, "rsa"),
    ("PS256", rsa_key, "rsa"),
    ("RS256", rsa_large, "large"),
    ("ES256", p256, "p256"),
    ("ES384", p384, "p384"),
    ("EdDSA", ed, "ed"),
]
for alg, key, kid in SIGNERS:
    good = jwt.encode(CLAIMS, key, algorithm=alg, headers={"kid": kid})
    line(f"{alg} by {kid}", ALL, good, "u1")
    line(f"{alg} without kid", ALL, jwt.encode(CLAIMS, key, algorithm=alg), "u1")
    head, body, signature = good.split(".")
    line(f"{alg}, other claims", ALL, f"{head}.{part({**CLAIMS, 'sub': 'root'})}.{signature}", "signature is wrong")
    line(f"{alg}, cut", ALL, good[:-8], "signature is")
    for other, *_ in SIGNERS:
        if other != alg:
            header = {"typ": "JWT", "kid": kid, "alg": other}
            token = f"{part(header)}.{body}.{signature}"
            wanted = "signature is wrong" if other[1] == alg[1] and other[0] in "RP" and alg[0] in "RP" else "denied"
            line(f"{alg} called {other}", ALL, token, wanted)

line("at+jwt", ALL, jwt.encode(CLAIMS, ed, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": "ed"}), "u1")
line("a key of 1024 bits", ALL, jwt.encode(CLAIMS, rsa_small, algorithm="RS256", headers={"kid": "small"}), "does not publish")
line("ES512", ALL, jwt.encode(CLAIMS, p521, algorithm="ES512", headers={"kid": "p521"}), "`ES512` are not accepted")
line("another's key", ALL, jwt.encode(CLAIMS, rsa_other, algorithm="RS256", headers={"kid": "rsa"}), "signature is wrong")
line("a key for another algorithm", [jwk(rsa_key, "RS256", kid="rsa", alg="PS256"), ALL[3]],
     jwt.encode(CLAIMS, rsa_key, algorithm="RS256", headers={"kid": "rsa"}), "does not publish")
line("a key to encrypt with", [jwk(rsa_key, "RS256", kid="rsa", use="enc"), ALL[3]],
     jwt.encode(CLAIMS, rsa_key, algorithm="RS256", headers={"kid": "rsa"}), "does not publish")

unsigned = jwt.encode(CLAIMS, None, algorithm="none")
line("none", ALL, unsigned, "`none` are not accepted")
for word in ["None", "nOnE", "NONE", ""]:
    header = part({"alg": word, "kid": "rsa"})
    line(f"`{word}`", ALL, f"{header}.{part(CLAIMS)}.", "are not accepted")

public = rsa_key.public_key()
pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
for what, secret in [("PEM", pem), ("stripped PEM", pem.strip()), ("DER", der), ("JWK", json.dumps(ALL[0]).encode())]:
    def mac(message, secret=secret):
        return hmac.new(secret, message, hashlib.sha256).digest()
    for alg in ["HS256", "RS256"]:
        ends = "`HS256` are not accepted" if alg == "HS256" else "signature is wrong"
        line(f"{alg} with the {what} as secret", ALL, by_hand({"alg": alg, "kid": "rsa"}, CLAIMS, mac), ends)

es = {"alg": "ES256", "kid": "p256"}
line("ES256 in DER", ALL, by_hand(es, CLAIMS, lambda it: p256.sign(it, ec.ECDSA(hashes.SHA256()))), "signature is wrong")
line("ES256 of zeros", ALL, by_hand(es, CLAIMS, lambda it: bytes(64)), "signature is wrong")
line("ES256 of nothing", ALL, by_hand(es, CLAIMS, lambda it: b""), "signature is missing")
order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
line("ES256 of the order", ALL, by_hand(es, CLAIMS, lambda it: order.to_bytes(32, "big") * 2), "signature is wrong")
off = {**ALL[3], "y": b64(bytes(31) + b"\x01")}
line("a point off the curve", [off], jwt.encode(CLAIMS, p256, algorithm="ES256", headers={"kid": "p256"}), "signature is wrong")
line("RSA without padding", ALL, by_hand({"alg": "RS256", "kid": "rsa"}, CLAIMS, lambda it: bytes(256)), "signature is wrong")
pss = lambda it: rsa_key.sign(it, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
line("PSS called PKCS", ALL, by_hand({"alg": "RS256", "kid": "rsa"}, CLAIMS, pss), "signature is wrong")
line("an own key in the header", ALL,
     by_hand({"alg": "RS256", "jwk": jwk(rsa_other, "RS256"), "jku": "https://evil/keys"}, CLAIMS,
             lambda it: rsa_other.sign(it, padding.PKCS1v15(), hashes.SHA256())), "signature is wrong")


def changed(ends, **claims):
    claims = {name: it for name, it in {**CLAIMS, **claims}.items() if it is not None}
    line(f"{claims}", ALL, jwt.encode(claims, p256, algorithm="ES256", headers={"kid": "p256"}), ends)


changed("is expired", exp=NOW - 90)
changed("u1", exp=NOW - 20)
changed("not valid yet", nbf=NOW + 300)
changed("u1", nbf=NOW + 20)
changed("in the future", iat=NOW + 300)
changed("never expires", exp=None)
changed("is meant for `other`", aud="other")
changed("names no audience", aud=None)
changed("is from `https://evil`", iss="https://evil")
changed("whom it is for", sub=None)
twice = f'{{"sub":"u1",{json.dumps(CLAIMS)[1:]}'.encode()
line("a name twice", ALL, jwt.api_jws.encode(twice, p256, algorithm="ES256", headers={"kid": "p256"}), "stands twice")
deep = (b'{"a":' * 3000) + b"1" + b"}" * 3000
line("deep", ALL, jwt.api_jws.encode(deep, p256, algorithm="ES256", headers={"kid": "p256"}), "longer than")
deep = (b"[" * 3000) + b"1" + b"]" * 3000
line("deep", ALL, jwt.api_jws.encode(deep, p256, algorithm="ES256", headers={"kid": "p256"}), "deeper than 64")
line("huge", ALL, jwt.encode({**CLAIMS, "x": "y" * 20000}, p256, algorithm="ES256"), "longer than")
line("crit", ALL, jwt.encode(CLAIMS, p256, algorithm="ES256", headers={"crit": ["b64"], "b64": False}), "`crit`")
for kid in ["../../../../etc/passwd", "p256/../p256", "p256\0", "' OR 1=1 --", "https://evil/keys", "P256"]:
    line(kid, ALL, jwt.encode(CLAIMS, p256, algorithm="ES256", headers={"kid": kid}), "does not publish")
many = [jwk(p256, "ES256", kid=f"k{number}") for number in range(2000)]
line("2,000 keys", many, jwt.encode(CLAIMS, p256, algorithm="ES256", headers={"kid": "k7"}), "u1")
