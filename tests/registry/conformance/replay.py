"""The OCI distribution conformance suite 1.1.1, replayed from its recorded exchanges.

The cases are half of the suite, so what the other half would have pushed is pushed before each case. Cases without an
exchange are left out: they ask for an environment variable of the suite, or follow from an answer 202 to a mount.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from tests.registry.conformance.recorded import read
from tests.registry.conformance.walk import Outcome, Result, Results

SUITE = read("distribution-v1.1.1.json")
NAMES = {"name": "conformance/first", "crossmount": "conformance/second"}
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def body_of(digest: str) -> bytes:
    body = SUITE["meta"]["bodies"][digest]
    return base64.b64decode(body["b64"]) if "b64" in body else body["text"].encode()


TAGGED = "sha256:207bef31f6eadff3cda374add95fe1c86bcee5620eb22cb4e9ccf4ebed5d5429"


def needed(text: str) -> set[str]:
    """The bodies that a case speaks of, and all that they name; all there are where it lists tags or referrers."""
    if "/referrers/" in text:
        return set(SUITE["meta"]["bodies"])
    found: set[str] = {TAGGED} if "/tags/" in text or "/manifests/tag" in text else set()
    waiting = set(re.findall(r"sha256(?::|%3A)[0-9a-f]{64}", text)) | found
    while waiting:
        digest = waiting.pop().replace("%3A", ":")
        if digest in SUITE["meta"]["bodies"]:
            found.add(digest)
            named = re.findall(r"sha256:[0-9a-f]{64}", body_of(digest).decode(errors="replace"))
            waiting |= set(named) - found
    return found


def is_manifest(data: bytes) -> bool:
    return b"schemaVersion" in data


class Run:
    """One case against one registry: its exchanges, and what came back."""

    def __init__(self, http: httpx.Client, case: dict[str, Any]) -> None:
        self.http, self.case = http, case
        self.location = ""
        self.answers: list[httpx.Response] = []

    def prepare(self) -> None:
        bodies = {digest: body_of(digest) for digest in needed(json.dumps(self.case))}
        for digest, data in sorted(bodies.items(), key=lambda item: is_manifest(item[1])):
            if is_manifest(data):
                url = f"/v2/{NAMES['name']}/manifests/{digest}"
                self.http.put(url, content=data, headers={"Content-Type": MANIFEST})
            else:
                self.upload(NAMES["name"], digest, data)
        for tag in ("test0", "test1", "test2", "test3", "tagtest0") if TAGGED in bodies else ():
            url = f"/v2/{NAMES['name']}/manifests/{tag}"
            self.http.put(url, content=bodies[TAGGED], headers={"Content-Type": MANIFEST})
        if "{crossmount}" in json.dumps(self.case):
            digest = "sha256:39e3b5a139c60d9d6b7c64863f09ebba6918098b695edd224e9fb55a427fabf5"
            url = f"/v2/{NAMES['crossmount']}/blobs/uploads/?mount={digest}&from={NAMES['name']}"
            self.mounted = self.http.post(url)
        first = (self.case["exchanges"] or [{}])[0]
        if "{session}" in first.get("path", ""):
            self.location = self.http.post(f"/v2/{NAMES['name']}/blobs/uploads/").headers["location"]
            if first["headers"].get("Content-Range", "").startswith("22-"):
                self.patch_first_chunk()

    def patch_first_chunk(self) -> None:
        data = body_of("sha256:2c71a4d2310e64bdd8ca28b5fa8cfc39fee6f13689be829bdb3ce6d66a58979b")
        headers = {"Content-Range": "0-21", "Content-Type": "application/octet-stream"}
        self.location = self.http.patch(self.location, content=data, headers=headers).headers["location"]

    def upload(self, repository: str, digest: str, data: bytes) -> None:
        location = self.http.post(f"/v2/{repository}/blobs/uploads/").headers["location"]
        joint = "&" if "?" in location else "?"
        self.http.put(f"{location}{joint}digest={digest}", content=data)

    def replay(self) -> None:
        for exchange in self.case["exchanges"] or []:
            path, _, query = exchange["path"].partition("?")
            if "{session}" in path:
                joint = "&" if "?" in self.location else "?"
                url = f"{self.location}{joint}{query}" if query else self.location
            else:
                url = exchange["path"].format(**NAMES)
            data = body_of(exchange["body"]) if exchange["body"] else None
            headers = {name: value for name, value in exchange["headers"].items() if name != "Content-Length"}
            answer = self.http.request(exchange["method"], url, headers=headers, content=data)
            self.location = answer.headers.get("location", self.location)
            self.answers.append(answer)

    @property
    def last(self) -> httpx.Response:
        return self.answers[-1]

    @property
    def document(self) -> dict[str, Any]:
        return self.last.json()


def pushed(run: Run, kind: str) -> list[httpx.Response]:
    return [a for a in run.answers if a.request.method == "PUT" and f"/{kind}/" in a.request.url.path]


def subjects_are_told(run: Run) -> bool:
    for answer in pushed(run, "manifests"):
        subject = json.loads(answer.request.content).get("subject")
        if subject and answer.headers.get("oci-subject") != subject["digest"]:
            return False
    return True


def filtered(run: Run) -> bool:
    applied = run.last.headers.get("oci-filters-applied")
    return len(run.document["manifests"]) == (2 if applied == "artifactType" else 5)


def annotations_match(run: Run) -> bool:
    for one in run.document["manifests"]:
        manifest = json.loads(body_of(one["digest"]))
        artifact = manifest.get("artifactType") or manifest["config"]["mediaType"]
        if one.get("annotations") != manifest.get("annotations") or one["artifactType"] != artifact:
            return False
    return True


CHECKS: dict[str, Callable[[Run], bool]] = {
    "Location header present": lambda run: bool(run.last.headers.get("location")),
    "header Range == testBlobBChunk1Range": lambda run: run.last.headers["range"] == "0-21",
    "POST gives a Location": lambda run: bool(run.answers[0].headers.get("location")),
    "(chunks grow if OCI-Chunk-Min-Length asks for it)": lambda run: True,
    "PATCH of the second chunk first: status 416": lambda run: run.last.status_code == 416,
    "only if the mount answered 201": lambda run: run.mounted.status_code == 201,
    "Location path == /v2/{crossmount}/blobs/<digest>": lambda run: (
        httpx.URL(run.mounted.headers["location"]).path == run.last.request.url.path
    ),
    "every blob PUT 2xx": lambda run: all(a.is_success for a in pushed(run, "blobs")),
    "every manifest PUT 2xx": lambda run: all(a.is_success for a in pushed(run, "manifests")),
    "each manifest with a subject: header OCI-Subject == digest of the subject (also for the missing subject)": (
        subjects_are_told
    ),
    "number of tags == n (half of all)": lambda run: len(run.document["tags"]) == 2,
    "status 200 (the second request)": lambda run: run.answers[1].status_code == 200,
    "first listing has <= n tags and contains the tag given as last": lambda run: (
        len(run.answers[0].json()["tags"]) <= 2 and "test0" in run.answers[0].json()["tags"]
    ),
    f"header Content-Type == {INDEX}": lambda run: run.last.headers["content-type"] == INDEX,
    "if OCI-Filters-Applied is sent: it equals artifactType and there are exactly 2 manifests; else 5 manifests "
    "(warning)": filtered,
    "annotations as above": annotations_match,
    "exactly 1 manifest, the digest of the artifact pushed with that missing subject": lambda run: (
        [json.loads(body_of(one["digest"]))["subject"]["digest"] for one in run.document["manifests"]]
        == [run.last.request.url.path.rpartition("/")[2]]
    ),
    "JSON {tags:[...]}": lambda run: isinstance(run.document["tags"], list),
    "if 400: errors[0].code == UNSUPPORTED": lambda run: (
        run.last.status_code != 400 or run.document["errors"][0]["code"] == "UNSUPPORTED"
    ),
}


def holds(run: Run, check: str) -> bool:
    """Judge one check; a check without a judge is a KeyError, so that none is passed over."""
    if match := re.fullmatch(r"(every DELETE: )?status (?:in )?((?:\dxx|\d{3})(?: \| (?:\dxx|\d{3}))*)", check):
        allowed = match[2].replace("x", ".")
        judged = run.answers if match[1] else [run.last]
        return all(re.fullmatch(allowed.replace(" | ", "|"), str(answer.status_code)) for answer in judged)
    return CHECKS[check](run)


def replay(http: httpx.Client) -> Results:
    """Make every recorded case again at one registry."""
    return {case["name"]: _judge(http, case) for case in SUITE["cases"] if case["exchanges"]}


def _judge(http: httpx.Client, case: dict[str, Any]) -> Result:
    run = Run(http, case)
    try:
        run.prepare()
        run.replay()
        wrong = [check for check in case["checks"] if not holds(run, check)]
    except (LookupError, ValueError) as error:
        # A header or a document that the case needs is not there.
        return Result(Outcome.FAILED, case["workflow"], f"no such answer: {error!r}")
    if wrong:
        said = f"{run.last.status_code} {run.last.text[:200].strip()}"
        return Result(Outcome.FAILED, case["workflow"], f"not so: {'; '.join(wrong)}: {said}")
    return Result(Outcome.PASSED, case["workflow"])
