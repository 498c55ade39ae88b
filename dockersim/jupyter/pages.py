"""What a command shows in a notebook that a terminal could not: a link, a table."""

from __future__ import annotations

import sys
from html import escape
from typing import Final

from IPython.display import display, publish_display_data

from dockersim.cli.pages import Page
from dockersim.cli.session import Session
from dockersim.engine.shipping import Pulled, Pushed
from dockersim.views.requests import Requests

# Only Colab's front end knows the address, and only the frame of a cell's output may ask it.
_COLAB: Final = """\
<a id="dockersim-port-{port}" target="_blank" rel="noopener">port {port}</a> is shown while this notebook is open.
<script>
google.colab.kernel.proxyPort({port}).then(url => {{ document.getElementById("dockersim-port-{port}").href = url; }});
</script>"""


class NotebookSession(Session):
    """A call of the command line from a cell."""

    def __init__(self) -> None:
        super().__init__(notebook=True)

    def show_page(self, page: Page) -> None:
        """Show the link."""
        publish_display_data({"text/plain": str(page), "text/html": link_to(page)})  # type: ignore[no-untyped-call]

    def show_requests(self, requests: Requests) -> None:
        """Show the table."""
        sys.stdout.flush()  # what was printed stands above it
        display(requests)  # type: ignore[no-untyped-call]


def requests_of(transfer: Pushed | Pulled) -> Requests:
    """Give the requests of a push or a pull, to be looked at: ``requests_of(engine.shipping.push(name, print))``."""
    what = "push" if isinstance(transfer, Pushed) else "pull"
    return Requests(f"The requests of this {what}", transfer.requests, transfer.events)


def link_to(page: Page) -> str:
    """Write the link to a page, in a tab of its own, with what it needs."""
    if not page.address:
        return _COLAB.format(port=page.port)
    address = escape(page.address)
    link = f'<a href="{address}" target="_blank" rel="noopener">{address}</a> shows port {page.port}.'
    return f"{link} {escape(page.needs[:1].upper() + page.needs[1:])}".rstrip()
