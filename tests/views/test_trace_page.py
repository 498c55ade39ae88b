"""The page around the stepper: what a trace says can never become part of its code."""

from __future__ import annotations

import json
import re

from dockersim.views import trace_page

from .example import Command, Workshop, document_of


def test_the_trace_and_the_front_end_are_in_the_page() -> None:
    build = Workshop().build()
    build.finish()
    html = trace_page(document_of(build), script="let code;", style=".a{}", contents={"ab": "text"}, title="A & B")
    found = re.search(r'<script type="application/json" id="trace">(.*?)</script>', html)
    assert found
    document = json.loads(found[1])
    assert document["schema"] == "dockersim.trace/v1"
    assert len(document["steps"]) == 6
    assert "recording" not in document
    assert "<title>A &amp; B</title>" in html
    assert "http://" not in html.replace(found[0], "")
    assert "https://" not in html.replace(found[0], "")


def test_a_script_end_in_the_trace_ends_no_script() -> None:
    nasty = "</script><script>alert(1)</script><!--"
    build = Workshop({"*": Command(output=(nasty, "\u2028"))}).build(f"FROM ubuntu\nRUN echo '{nasty}'\n")
    build.finish()
    html = trace_page(document_of(build), script="", style="", contents={"x": nasty})
    assert nasty not in html
    assert html.count("</script>") == 3
