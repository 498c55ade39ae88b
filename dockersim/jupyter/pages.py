"""The link to a published port, below the cell that published it."""

from __future__ import annotations

from html import escape
from typing import Final

from IPython.display import publish_display_data

from dockersim.cli.pages import Page
from dockersim.cli.session import Session

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


def link_to(page: Page) -> str:
    """Write the link to a page, in a tab of its own, with what it needs."""
    if not page.address:
        return _COLAB.format(port=page.port)
    address = escape(page.address)
    link = f'<a href="{address}" target="_blank" rel="noopener">{address}</a> shows port {page.port}.'
    return f"{link} {escape(page.needs[:1].upper() + page.needs[1:])}".rstrip()
