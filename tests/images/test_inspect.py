"""What docker history and docker inspect show."""

from __future__ import annotations

from pathlib import Path

from dockersim.images import history, inspect
from dockersim.oci import History, ImageConfig, parse_reference

from .making import ARCHITECTURE, CREATED, build, layer, open_store


def test_history_is_latest_first_with_the_layer_of_each_step(tmp_path: Path) -> None:
    image = build(open_store(tmp_path), "app", "app:v1")
    rows = history(image)
    first, second = image.config.diff_ids
    assert [(row.layer, row.created_by, row.size) for row in rows] == [
        (second, "RUN rm etc/link # buildkit", 5),
        ("", "ENV A=1 & 2", 0),
        (first, "COPY app / # buildkit", 8),
    ]
    assert [row.id for row in rows] == [image.id, "", ""]
    assert [row.names for row in rows] == [("app:latest", "app:v1"), (), ()]
    assert {(row.created, row.comment) for row in rows} == {(CREATED, "buildkit.dockerfile.v0")}


def test_a_history_that_tells_of_more_layers_than_there_are(tmp_path: Path) -> None:
    images = open_store(tmp_path)
    diff_id = layer(images, a=b"123")
    config = ImageConfig("amd64", diff_ids=(diff_id,), history=(History(created_by="1"), History(created_by="2")))
    assert [row.size for row in history(images.put(config, [diff_id]))] == [0, 3]
    assert history(images.put(ImageConfig("amd64"), [])) == ()


def test_inspect_has_dockers_keys(tmp_path: Path) -> None:
    image = build(open_store(tmp_path), "app")
    document = inspect(image)
    assert document["Metadata"]["LastTagTime"].endswith("Z")
    del document["Metadata"], document["Descriptor"]
    assert document == {
        "Id": image.id,
        "RepoTags": ["app:latest"],
        "RepoDigests": [],
        "Parent": "",
        "Comment": "buildkit.dockerfile.v0",
        "Created": CREATED,
        "DockerVersion": "",
        "Author": "me",
        "Config": {
            "User": "",
            "ExposedPorts": {"80/tcp": {}},
            "Env": ["A=1 & 2"],
            "Cmd": ["sh"],
            "Volumes": None,
            "WorkingDir": "",
            "Entrypoint": None,
            "OnBuild": None,
            "Labels": {"who": "me"},
        },
        "Architecture": ARCHITECTURE,
        "Os": "linux",
        "Size": 13,
        "RootFS": {"Type": "layers", "Layers": list(image.config.diff_ids)},
    }


def test_a_variant_is_told(tmp_path: Path) -> None:
    image = open_store(tmp_path).put(ImageConfig("arm", variant="v7"), [], [parse_reference("app")])
    assert inspect(image)["Variant"] == "v7"
