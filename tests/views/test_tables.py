"""docker's tables: the very lines that the docker command prints (docker.io 20.10, Debian)."""

from __future__ import annotations

from dockersim.views import (
    ContainerRow,
    HistoryRow,
    ImageRow,
    containers_table,
    ellipsis,
    history_table,
    images_table,
    table,
)
from dockersim.views.tables import NO_LAYER


def test_images() -> None:
    rows = [
        ImageRow("my-flask-app", "latest", "abcd1234ef56", "10 minutes ago", "120MB"),
        ImageRow("<none>", "<none>", "0123456789ab", "About an hour ago", "4.26MB"),
    ]
    assert images_table(rows).split("\n") == [
        "REPOSITORY     TAG       IMAGE ID       CREATED             SIZE",
        "my-flask-app   latest    abcd1234ef56   10 minutes ago      120MB",
        "<none>         <none>    0123456789ab   About an hour ago   4.26MB",
    ]


def test_no_images_leave_the_header() -> None:
    assert images_table([]) == "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE"


def test_history_cuts_the_command_unless_told_not_to() -> None:
    long = "RUN /bin/sh -c apt-get update && apt-get install -y python3 # buildkit"
    row = HistoryRow(NO_LAYER, "2 days ago", long, "0B", "buildkit.dockerfile.v0")
    assert history_table([row]).split("\n") == [
        "LAYER     CREATED      CREATED BY                                      SIZE      COMMENT",
        "<empty>   2 days ago   RUN /bin/sh -c apt-get update && apt-get ins…   0B        buildkit.dockerfile.v0",
    ]
    assert long in history_table([row], truncate=False)


def test_containers_quote_the_command() -> None:
    row = ContainerRow("4c01db0b339c", "app", "python3 app.py --port 5000", "2 hours ago", "Up 2 hours", "", "calm_fox")
    assert containers_table([row]).split("\n") == [
        "CONTAINER ID   IMAGE     COMMAND                  CREATED       STATUS       PORTS     NAMES",
        '4c01db0b339c   app       "python3 app.py --po…"   2 hours ago   Up 2 hours             calm_fox',
    ]
    assert '"python3 app.py --port 5000"' in containers_table([row], truncate=False)


def test_an_ellipsis_counts_in_the_width() -> None:
    assert [ellipsis(text, 4) for text in ("", "four", "fives")] == ["", "four", "fiv…"]


def test_a_column_is_never_narrower_than_ten() -> None:
    assert table(("A", "B"), [("x", "y")]) == "A         B\nx         y"
