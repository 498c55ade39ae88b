"""Delete and garbage collection: first what follows, then the button, then what has happened."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from dockersim.registry.page.layout import (
    HOME,
    MOST_ROWS,
    code,
    counted,
    facts,
    holder_link,
    paragraph,
    section,
    short,
    table,
)
from dockersim.registry.page.markup import Content, Markup, address, element, join, link
from dockersim.registry.plans import Blob, Collection, Holder, Removal
from dockersim.registry.upkeep import Collected
from dockersim.sizes import human_size


class Form(Struct, frozen=True):
    """What a form needs beside its button: the ``seal`` of the plan, who must be asked for a password, an error."""

    seal: str
    owner: str = ""
    ask: bool = False
    error: str = ""


# ---------------------------------------------------------------- delete


def removal(plan: Removal, form: Form) -> Markup:
    """Write what follows from a delete, and the form that does it."""
    return join(
        _error(form),
        _of_tag(plan) if plan.tag else _of_manifest(plan),
        _confirm(
            "delete",
            f"Delete the tag {plan.tag}" if plan.tag else "Delete this manifest",
            form,
            repository=plan.repository,
            name=plan.tag or plan.digest,
        ),
    )


def removed(plan: Removal) -> Markup:
    """Write what a delete has done."""
    if plan.tag:
        gone = paragraph("The tag is gone; the manifest is still there, and can be pulled by its digest.")
        by_digest = link("Look at the manifest", address("image", repository=plan.repository, name=plan.digest))
        return join(gone, paragraph(by_digest, " or go ", link("to the repositories", HOME), "."))
    left = _amount(plan.bytes_freed, len(plan.freed))
    said = paragraph("The manifest is gone, and so are its tags. The disk is as full as before: "
                     f"{left} wait for garbage collection.")  # fmt: skip
    return join(said, paragraph(link("Go on to garbage collection", "garbage"), " or ",
                                link("to the repositories", HOME), "."))  # fmt: skip


def _of_tag(plan: Removal) -> Markup:
    others = f" It has other tags too: {', '.join(plan.other_tags)}." if plan.other_tags else ""
    whole = link("delete the manifest", address("delete", repository=plan.repository, name=plan.digest))
    return section(
        "What follows",
        paragraph("A tag is only a name. The manifest ", short(plan.digest), " stays, and with it all its blobs: "
                  "who knows the digest can still pull it.", others),
        paragraph("So this frees nothing: ", element("strong", "0B"), ". To free the image's own blobs ", whole,
                  " instead, then collect the garbage."),
    )  # fmt: skip


def _of_manifest(plan: Removal) -> Markup:
    tags = ", ".join(plan.tags)
    total = sum(blob.size for blob in plan.kept)
    sums = facts(
        ("Tags that go", tags or "none: it has no tag"),
        ("Unnamed then", _amount(plan.bytes_freed, len(plan.freed))),
        ("Still needed", _amount(total, len(plan.kept))),
    )
    lead = paragraph("No blob is removed yet. A blob may belong to other images too, in any repository; only garbage "
                     "collection, which reads all manifests, may remove one.")  # fmt: skip
    return section("What follows", lead, sums, *_cautions(plan), _freed(plan.freed), _kept(plan.kept))


def _cautions(plan: Removal) -> Iterable[Content]:
    for found, words in (
        (plan.indexes, "An index lists this manifest, and will list something that is not there: "),
        (plan.referrers, "These have it as their subject, and stay behind without it: "),
        (plan.children, "It is an index: the manifests that it lists stay, and can be pulled by digest: "),
    ):
        if found:
            yield paragraph(element("strong", "Mind: "), words, _named(found), ".", class_="note")


def _freed(blobs: tuple[Blob, ...]) -> Content:
    if not blobs:
        return paragraph("Every blob of it is named by another manifest, so nothing will be freed.")
    rows = [(blob.what, human_size(blob.size), short(blob.digest)) for blob in blobs]
    return table(
        "Blobs that no manifest will name: garbage collection frees them", ("What", "Size", "Digest"), rows, seen=True
    )


def _kept(blobs: tuple[Blob, ...]) -> Content:
    if not blobs:
        return ""
    rows = [(blob.what, human_size(blob.size), short(blob.digest), _named(blob.holders)) for blob in blobs]
    return table("Blobs that stay, as others name them", ("What", "Size", "Digest", "Named by"), rows, seen=True)


def _named(holders: tuple[Holder, ...]) -> Markup:
    return join(*(join("; " if at else "", holder_link(one)) for at, one in enumerate(holders[:MOST_ROWS])))


# ---------------------------------------------------------------- garbage collection


def garbage(plan: Collection, form: Form, *, spare_young: bool) -> Markup:
    """Write what garbage collection would free, and the form that does it."""
    lead = paragraph("Mark and sweep: all manifests are read, every blob that one of them names is marked, and what "
                     "has no mark can go. The registry does so by itself every hour; here it can be done "
                     "now.")  # fmt: skip
    sums = facts(
        ("Marked, so kept", _amount(plan.kept_bytes, plan.kept_blobs)),
        ("Would be freed", _amount(plan.bytes_freed, len(plan.freed))),
        ("Unnamed but young", _amount(plan.bytes_waiting, len(plan.waiting))),
    )
    young = "no" if spare_young else "yes"
    button = _confirm("garbage", f"Free {human_size(plan.bytes_freed)}", form, young=young) if plan.freed else ""
    nothing = "" if plan.freed or plan.waiting else paragraph("There is no garbage: every blob is named by a manifest.")
    return join(
        _error(form), section("The plan", lead, sums, nothing, _sweep(plan), _waiting(plan)), button, _untagged(plan)
    )


def collected(done: Collected) -> Markup:
    """Write what garbage collection has done."""
    sums = facts(("Freed", human_size(done.freed)), ("Blobs on the disk before", human_size(done.before)),
                 ("And now", human_size(done.after)))  # fmt: skip
    return join(sums, paragraph(link("Go to the repositories", HOME), "."))


def _sweep(plan: Collection) -> Content:
    return _unnamed("Blobs that no manifest names", plan.freed) if plan.freed else ""


def _waiting(plan: Collection) -> Content:
    if not plan.waiting:
        return ""
    why = paragraph("These are named by no manifest either, but came within the last hour. A push sends the manifest "
                    "last, so they may belong to one that is under way; other registries want all pushes stopped for "
                    "this reason while they collect.")  # fmt: skip
    take = link("Nobody is pushing now: plan with these as well", address("garbage", young="yes"))
    return join(why, _unnamed("Blobs that are young, and spared", plan.waiting), paragraph(take))


def _untagged(plan: Collection) -> Content:
    if not plan.untagged:
        return ""
    why = paragraph("A tag that is pushed to anew leads to another manifest; the one before stays, without a tag. It "
                    "can be pulled by its digest, so it is no garbage: delete it first.")  # fmt: skip
    rows = ((holder_link(blob.holders[0]), human_size(blob.size), _delete_link(blob)) for blob in plan.untagged)
    header = ("Manifest", "What it alone keeps", "Delete")
    return section("Manifests that no tag leads to", why, table("Manifests without a tag", header, rows))


def _delete_link(blob: Blob) -> Markup:
    words = join("Delete…", element("span", f" {blob.holders[0]}", class_="unseen"))
    return link(words, address("delete", repository=blob.holders[0].repository, name=blob.digest))


def _unnamed(caption: str, blobs: tuple[Blob, ...]) -> Markup:
    rows = ((blob.what, human_size(blob.size), short(blob.digest)) for blob in blobs)
    return table(caption, ("It looks like", "Size", "Digest"), rows, seen=True)


def _amount(size: int, count: int) -> str:
    return f"{human_size(size)} in {counted(count, 'blob')}"


# ---------------------------------------------------------------- forms


def _error(form: Form) -> Content:
    return paragraph(form.error, class_="error") if form.error else ""


def _confirm(action: str, words: str, form: Form, **hidden: str) -> Markup:
    fields = [element("input", type="hidden", name=name, value=value) for name, value in hidden.items()]
    fields.append(element("input", type="hidden", name="seal", value=form.seal))
    asked = _credentials(form) if form.ask else ""
    buttons = element("p", element("button", words, type="submit", class_="danger"), " ", link("Cancel", HOME))
    return element("form", *fields, asked, buttons, method="post", action=action, aria_label=words)


def _credentials(form: Form) -> Markup:
    whose = (join("The repository belongs to ", code(form.owner), "; only who can log in as this user may change it.")
             if form.owner else "From another machine only a user may do this.")  # fmt: skip
    name = element("input", id="user", name="user", value=form.owner, autocomplete="username", required=True)
    password = element("input", id="password", name="password", type="password", autocomplete="current-password",
                       required=True)  # fmt: skip
    return element(
        "fieldset",
        element("legend", "Who are you?"),
        paragraph(whose),
        paragraph(element("label", "User", for_="user"), name),
        paragraph(element("label", "Password", for_="password"), password),
    )
