"""The simulator as a Python harness starts it: what it is, where it is, and what it counted."""

import hashlib
import http.client
import json
import pathlib
import ssl
import subprocess
import urllib.parse

BUILD = pathlib.Path(__file__).resolve().parent / ".build"
USER = "root"
PASSWORD = "se<cr&et>'1\""  # what XML, a shell and a log would each trip over


def fingerprint(pem):
    der = ssl.PEM_cert_to_DER_cert(pathlib.Path(pem).read_text())
    digest = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


class Simulator:
    """`with Simulator("esx", "-vms", "10") as sim:`; it ends with the block, or with this process."""

    def __init__(self, model, *flags):
        self.model = model
        # A host signs its certificate itself, a vCenter has a CA of its own.
        leaf = "cert" if model == "esx" else "host"
        self.cert = BUILD / f"{leaf}.pem"
        self.trust = BUILD / ("cert.pem" if model == "esx" else "ca.pem")
        key = BUILD / ("key.pem" if model == "esx" else "host-key.pem")
        self.command = [str(BUILD / "vcsim"), "-until-eof", "-model", model, "-user", USER, "-password", PASSWORD]
        self.command += ["-cert", str(self.cert), "-key", str(key), *flags]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise SystemExit(f"the simulator did not start: {' '.join(self.command)}")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def environment(self):
        """What makes jumpvisor use it: a host by its fingerprint, a vCenter by its CA."""
        if self.model == "esx":
            return {
                "ESXI_HOST": self.url,
                "ESXI_USER": USER,
                "ESXI_PASS": PASSWORD,
                "ESXI_FINGERPRINT": fingerprint(self.cert),
            }
        return {
            "VCENTER_HOST": self.url,
            "VCENTER_USER": USER,
            "VCENTER_PASSWORD": PASSWORD,
            "VCENTER_CA_FILE": str(self.trust),
        }

    def connect(self):
        at = urllib.parse.urlparse(self.url)
        context = ssl.create_default_context(cafile=str(self.trust))
        return http.client.HTTPSConnection(at.hostname, at.port, context=context, timeout=60)

    def ask(self, method, path):
        link = self.connect()
        try:
            link.request(method, path)
            answer = link.getresponse()
            body = answer.read().decode()
            return body if answer.status == 200 else None
        finally:
            link.close()

    def counts(self):
        return json.loads(self.ask("GET", "/count"))

    def forget_counts(self):
        self.ask("DELETE", "/count")

    def lose_sessions(self):
        self.ask("DELETE", "/sessions")

    def all(self, method):
        """The bodies of that SOAP method's requests since the counts were forgotten, oldest first."""
        return json.loads(self.ask("GET", f"/all?method={method}")) or []

    def last(self, method):
        """The body of the last request of that SOAP method, or None."""
        return self.ask("GET", f"/last?method={method}")
