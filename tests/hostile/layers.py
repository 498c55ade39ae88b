"""Attacks by what a tar says: names, links, marks, devices, attributes, numbers, headers.

Each function gives the layers of an image, lowest first, as members without the end mark. ``outside`` is the absolute
path of a folder with ``precious`` in it, which nothing may touch. The name of the function is the attack.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.hostile.arena import FORBIDDEN
from tests.hostile.saying import Says
from tests.hostile.tars import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    extended,
    folder,
    hardlink,
    member,
    pax,
    symlink,
)

Layers = tuple[bytes, ...]
Make = Callable[[str], Layers]

ATTACKS: dict[str, tuple[Make, Says]] = {}
"""Each attack by its name, with what is said of it."""

UP = "../" * 40


NO_PLACE = {"ADD": "no such file or directory|not a directory"}
"""ADD unpacks as moby does, which follows a link of the archive inside the root only, and finds nothing there."""
TOO_LONG = "File name too long"


def attack(refused: str = "", elsewhere: dict[str, str] | None = None) -> Callable[[Make], Make]:
    """Note an attack, and what is said of it, where some ways in say something else."""

    def note(make: Make) -> Make:
        ATTACKS[make.__name__] = make, Says(refused, elsewhere or {})
        return make

    return note


# ---------------------------------------------------------------- names


@attack()
def absolute_name(outside: str) -> Layers:
    return (member(FORBIDDEN, b"x") + member(f"{outside}/pwned", b"x"),)


@attack()
def name_that_climbs_out(outside: str) -> Layers:
    return (member(f"{UP}{outside}/pwned", b"x") + member(f"a/b/{UP}{FORBIDDEN}", b"x"),)


@attack()
def directory_that_climbs_out(outside: str) -> Layers:
    return (folder(f"{UP}{outside}", 0o777) + folder("..", 0o777),)


@attack()
def names_of_dots_and_slashes(outside: str) -> Layers:
    return (folder("./") + folder("//") + folder("a/./b//") + member("a/b/../../c/./d", b"x"),)


@attack()
def name_with_line_breaks_and_escapes(outside: str) -> Layers:
    return (member("a\nb", b"x") + member("\x1b[2J\x1b]0;owned\x07", b"x") + member("\u202egpj.exe", b"x"),)


@attack()
def name_that_is_no_utf8(outside: str) -> Layers:
    return (member(b"caf\xe9", b"x") + folder("d") + member(b"d/\xff\xfe", b"x") + symlink(b"\x80", b"\xe9"),)


@attack("path that cannot be")
def name_with_a_zero_byte(outside: str) -> Layers:
    return (pax({"path": b"a\0b"}) + member("a", b"x"),)


@attack("path that cannot be")
def name_of_256_bytes(outside: str) -> Layers:
    return (member("n" * 256, b"x"),)


@attack("path that cannot be")
def path_of_5000_bytes(outside: str) -> Layers:
    return (member("/".join(["n" * 99] * 50), b"x"),)


@attack()
def no_name_at_all(outside: str) -> Layers:
    return (member("", b"x") + member("/", b"x") + member("..", b"x") + member("f", b"x"),)


# ---------------------------------------------------------------- links


@attack(elsewhere=NO_PLACE)
def link_to_the_outside_then_a_file_through_it(outside: str) -> Layers:
    return (symlink("evil", outside) + member("evil/pwned", b"x") + member("evil/precious", b"x"),)


@attack(elsewhere=NO_PLACE)
def link_of_a_lower_layer_then_a_file_through_it(outside: str) -> Layers:
    return symlink("evil", outside), member("evil/pwned", b"x") + member("evil/precious", b"x")


@attack(elsewhere=NO_PLACE)
def link_that_climbs_out_then_a_file_through_it(outside: str) -> Layers:
    return (folder("a") + symlink("a/evil", f"{UP}{outside[1:]}") + member("a/evil/pwned", b"x"),)


@attack(elsewhere=NO_PLACE)
def links_through_links(outside: str) -> Layers:
    return (symlink("one", "two") + symlink("two", "three") + symlink("three", outside) + member("one/pwned", b"x"),)


@attack(elsewhere=NO_PLACE)
def directory_replaced_by_a_link_then_written_through(outside: str) -> Layers:
    return (folder("d") + member("d/f", b"x") + symlink("d", outside) + member("d/pwned", b"x"),)


@attack()
def directory_replaced_by_a_link_in_the_next_layer(outside: str) -> Layers:
    return folder("d") + member("d/f", b"x"), symlink("d", outside), folder("d", 0o700) + member("d/pwned", b"x")


@attack()
def file_replaced_by_a_link_then_written_through(outside: str) -> Layers:
    return (member("f", b"x") + symlink("f", f"{outside}/precious") + member("f", b"pwned"),)


@attack()
def directory_entry_in_the_place_of_a_link(outside: str) -> Layers:
    return symlink("d", outside), folder("d", 0o777)


@attack("too many symbolic links|too many levels of symbolic links|no such file or directory|circles")
def links_in_a_circle_then_a_file_through_them(outside: str) -> Layers:
    return (symlink("a", "b") + symlink("b", "a") + member("a/f", b"x"),)


@attack("hard link to|no such file or directory")
def hard_link_to_the_outside(outside: str) -> Layers:
    return (hardlink("h", f"{outside}/precious") + member("h", b"pwned"),)


@attack("hard link to|no such file or directory")
def hard_link_that_climbs_out(outside: str) -> Layers:
    return (hardlink("h", f"{UP}{outside}/precious"),)


@attack("hard link to|no such file or directory")
def hard_link_through_a_link_to_the_outside(outside: str) -> Layers:
    return (symlink("evil", outside) + hardlink("h", "evil/precious") + member("h", b"pwned"),)


@attack()
def hard_link_to_a_link_to_the_outside_then_written(outside: str) -> Layers:
    return (symlink("s", f"{outside}/precious") + hardlink("h", "s") + member("h", b"pwned"),)


@attack("hard link to|no such file or directory")
def hard_link_to_itself(outside: str) -> Layers:
    return (hardlink("h", "h"),)


@attack("hard link to|operation not permitted")
def hard_link_to_a_directory(outside: str) -> Layers:
    return (folder("d") + hardlink("h", "d"),)


@attack("link to nowhere")
def link_to_nothing(outside: str) -> Layers:
    return (symlink("l", ""),)


@attack("link to nowhere, or one that is too long")
def link_of_5000_bytes(outside: str) -> Layers:
    return (symlink("l", "x" * 5000),)


@attack("link to nowhere")
def link_with_a_zero_byte(outside: str) -> Layers:
    return (pax({"linkpath": b"a\0b"}) + symlink("l", "x"),)


@attack("too many|no such file or directory|not a directory|File name too long")
def links_that_make_a_path_of_a_million_parts(outside: str) -> Layers:
    """Each link goes through the next one twice over, with thousands of parts that mean nothing between."""
    chain = b"".join(
        symlink(f"l{n}", "./" * 1000 + f"l{n + 1}/" + "../" * 2 + "./" * 500 + f"l{n + 1}") for n in range(200)
    )
    return (chain + folder("l200") + b"".join(member(f"l0/f{n}", b"x") for n in range(200)),)


# ---------------------------------------------------------------- marks of deletion


@attack("whiteout of '', which is no name")
def whiteout_of_nothing(outside: str) -> Layers:
    return folder("d") + member("d/f", b"x"), folder("d") + member("d/.wh.")


@attack(r"whiteout of '\.', which is no name")
def whiteout_of_the_directory_itself(outside: str) -> Layers:
    return folder("d") + member("d/f", b"x"), folder("d") + member("d/.wh..")


@attack(r"whiteout of '\.\.', which is no name")
def whiteout_of_the_directory_above(outside: str) -> Layers:
    return folder("d") + member("d/f", b"x"), folder("d") + member("d/.wh...")


@attack(r"whiteout of '\.\.', which is no name")
def whiteout_of_the_root(outside: str) -> Layers:
    return member("f", b"x"), member(".wh...")


@attack(elsewhere=NO_PLACE)
def whiteout_through_a_link_to_the_outside(outside: str) -> Layers:
    return symlink("evil", outside), member("evil/.wh.precious") + member("evil/.wh..wh..opq")


@attack()
def whiteout_that_climbs_out(outside: str) -> Layers:
    return member("f", b"x"), member(f"{UP}{outside}/.wh.precious") + member(f"{outside}/.wh.folder")


@attack()
def opaque_root(outside: str) -> Layers:
    return folder("d") + member("d/f", b"x") + member("g", b"x"), member(".wh..wh..opq") + member("new", b"x")


@attack(elsewhere=NO_PLACE)
def opaque_mark_on_a_link_of_the_same_layer(outside: str) -> Layers:
    return member("f", b"x"), symlink("evil", outside) + member("evil/.wh..wh..opq")


@attack(elsewhere=NO_PLACE)
def opaque_mark_on_a_link_of_a_lower_layer(outside: str) -> Layers:
    return symlink("evil", outside), member("evil/.wh..wh..opq")


@attack(elsewhere=NO_PLACE)
def opaque_mark_on_a_file(outside: str) -> Layers:
    return member("f", b"x"), member("f/.wh..wh..opq")


@attack()
def opaque_mark_without_its_directory(outside: str) -> Layers:
    return folder("d", 0o711) + member("d/f", b"x"), member("d/.wh..wh..opq")


@attack()
def whiteout_and_file_of_one_name(outside: str) -> Layers:
    return member("f", b"x"), member("f", b"y") + member(".wh.f") + member("f", b"z")


@attack()
def names_that_aufs_kept_for_itself(outside: str) -> Layers:
    return (folder(".wh..wh.plnk") + member(".wh..wh.plnk/1.2", b"x") + member(".wh..wh.aufs") + member("f", b"x"),)


@attack()
def directory_that_is_called_a_whiteout(outside: str) -> Layers:
    return member("d", b"x"), member(".wh.d/f", b"x")


# ---------------------------------------------------------------- duplicates


@attack()
def one_name_many_times(outside: str) -> Layers:
    return (b"".join(member("f", b"%d" % n) for n in range(300)),)


@attack()
def one_name_of_every_kind(outside: str) -> Layers:
    kinds = member("x", b"x") + folder("x") + member("x/f", b"x") + symlink("x", outside) + member("x", kind=FIFO)
    return (kinds + folder("x") + member("x/g", b"x") + member("x", b"last"),)


@attack("is a file, not a directory|not a directory")
def file_below_a_file(outside: str) -> Layers:
    return (member("f", b"x") + member("f/g", b"x"),)


@attack()
def root_that_is_a_link_or_a_file(outside: str) -> Layers:
    return (symlink("./", outside) + symlink("/", outside) + member(".", b"x") + member("f", b"x"),)


# ---------------------------------------------------------------- devices, rights, attributes


@attack()
def device_nodes(outside: str) -> Layers:
    return (
        member("disk", kind=BLOCK_DEVICE, mode=0o666, major=8)
        + member("mem", kind=CHARACTER, mode=0o666, major=1, minor=1),
    )


@attack()
def device_0_0_which_overlayfs_takes_for_a_whiteout(outside: str) -> Layers:
    return folder("d") + member("d/f", b"x"), folder("d") + member("d/f", kind=CHARACTER) + member("d/g", b"x")


@attack("device of number")
def device_of_a_number_that_cannot_be(outside: str) -> Layers:
    return (member("d", kind=CHARACTER, major=1 << 40, minor=5),)


@attack("device of number")
def device_of_a_negative_number(outside: str) -> Layers:
    return (member("d", kind=BLOCK_DEVICE, major=-1, minor=5),)


@attack(elsewhere={"build -": "hard link to /pipe"})
def pipes_that_nobody_writes_to(outside: str) -> Layers:
    return (member("pipe", kind=FIFO, mode=0o666) + folder("d") + hardlink("d/p", "pipe"),)


@attack()
def set_uid_shell_of_root(outside: str) -> Layers:
    return (folder("bin", 0o777) + member("bin/sh", b"#!", mode=0o6755) + folder("./", 0o6777),)


def _with_attributes(**attributes: bytes) -> Layers:
    records = {f"SCHILY.xattr.{name.replace('__', '.')}": value for name, value in attributes.items()}
    lower = folder("d") + member("d/hidden", b"x") + folder("secret") + member("secret/s", b"x")
    return lower, pax(records) + folder("d") + pax(records) + member("f", b"x")


@attack()
def attribute_overlay_redirect(outside: str) -> Layers:
    return _with_attributes(trusted__overlay__redirect=b"/secret", user__overlay__redirect=b"/../../secret")


@attack()
def attribute_overlay_opaque(outside: str) -> Layers:
    return _with_attributes(trusted__overlay__opaque=b"y", user__overlay__opaque=b"y", user__overlay__whiteout=b"y")


@attack()
def attribute_overlay_metacopy(outside: str) -> Layers:
    return _with_attributes(
        trusted__overlay__metacopy=b"", trusted__overlay__origin=b"\0" * 21, user__overlay__nlink=b"U+1"
    )


@attack()
def attribute_of_the_hosts_policies(outside: str) -> Layers:
    return _with_attributes(
        security__selinux=b"x", security__ima=b"\3x", system__posix_acl_access=b"bad", trusted__x=b"y"
    )


@attack()
def attribute_of_no_name_space(outside: str) -> Layers:
    return _with_attributes(x=b"y", user=b"z")


# ---------------------------------------------------------------- numbers


@attack()
def time_beyond_all_calendars(outside: str) -> Layers:
    far = pax({"mtime": b"999999999999.5"}) + member("pax", b"x")
    return (member("f", b"x", mtime=1 << 70) + folder("d", mtime=-(1 << 70)) + symlink("l", "f") + far,)


@attack("uid 4294967295|uid -1")
def owner_that_no_system_can_hold(outside: str) -> Layers:
    return (member("f", b"x", uid=0xFFFFFFFF),)


@attack("negative size")
def file_of_negative_size(outside: str) -> Layers:
    return (member("f", size=-1),)


@attack("cut off")
def file_that_says_it_has_gigabytes(outside: str) -> Layers:
    return (member("f", b"x", size=20 << 30),)


@attack("holds more than")
def file_that_says_it_has_exabytes(outside: str) -> Layers:
    return (member("f", b"x", size=1 << 62),)


@attack("cut off|checksum")
def size_that_swallows_the_next_header(outside: str) -> Layers:
    return (member("f", b"x" * 100, size=1000) + member("g", b"x" * 700),)


@attack("size is no number")
def size_of_thousands_of_digits(outside: str) -> Layers:
    return (pax({"size": b"9" * 5000}) + member("f", b"x"),)


# ---------------------------------------------------------------- headers


@attack("extended header of")
def extended_header_of_gigabytes(outside: str) -> Layers:
    return (extended(b"x", size=8 << 30) + member("f", b"x"),)


@attack("extended headers? of more than")
def extended_headers_without_end(outside: str) -> Layers:
    one = extended(b"".join(b"31 k%08d=vvvvvvvvvvvvvvvvv\n" % n for n in range(20_000)))
    return (one * 3 + member("f", b"x"),)


@attack()
def global_header_of_many_attributes(outside: str) -> Layers:
    """A careless reader gives each of the files that follow all of the attributes."""
    records = {f"SCHILY.xattr.user.a{n}": b"x" for n in range(5000)}
    return (pax(records, b"g") + b"".join(member(f"f{n}", b"x") for n in range(300)),)


@attack()
def global_header_that_renames_everything(outside: str) -> Layers:
    return (pax({"path": f"{UP}{outside}/pwned".encode(), "linkpath": outside.encode()}, b"g") + member("f", b"x"),)


@attack("PAX record is cut off|PAX record has no length")
def record_that_lies_about_its_length(outside: str) -> Layers:
    return (extended(b"99999 path=x\n") + member("f", b"x"),)


@attack("sparse")
def sparse_file_of_gnu(outside: str) -> Layers:
    return (member("f", kind=b"S"),)


@attack("sparse")
def sparse_map_in_records(outside: str) -> Layers:
    return (
        pax({"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"1" + b"0" * 15})
        + member("f", b"x"),
    )


@attack("unknown type")
def member_of_an_unknown_kind(outside: str) -> Layers:
    return (member("f", kind=b"Z"),)


@attack("checksum is wrong|damaged|not a tar")
def header_of_noise(outside: str) -> Layers:
    return (member("f", b"x") + b"noise" * 200 + bytes(24),)


@attack()
def deep_path(outside: str) -> Layers:
    """As deep as a path of 4,095 bytes can be: whoever walks it by recursion falls over."""
    return (member("/".join(["a"] * 1500), b"x"),)


@attack("directories that it does not list|directories would have to be made")
def directories_that_nobody_listed(outside: str) -> Layers:
    """A few names mean two thousand directories each."""
    return (b"".join(member(f"{n}/" + "a/" * 2000 + "f", b"x") for n in range(110)),)


@attack(elsewhere={"build -": TOO_LONG, "overlay": TOO_LONG, "copy": TOO_LONG})
def directory_of_the_deepest(outside: str) -> Layers:
    return (member("/".join(["a"] * 2047), kind=DIRECTORY),)
