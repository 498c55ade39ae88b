"""Put files and directories over those of the image for one run, where nothing can be mounted, and give them back.

What a mount would hide is moved out of the root, next to it, and something of ours takes its name. When the command
has ended ours is deleted, with all that the command did to it, and the image's own gets its name back. So a layer sees
no more of it than of a mount. The directory that a cover lies in is kept open: the command may rename it meanwhile.

Should this process be killed, its covers stay. A snapshot is then put back to what its layers say before it is used
again; for a container the notes beside what was moved tell the next run what to put back.
"""

from __future__ import annotations

import os

from . import copying, wire
from .mounts import kind_of_source, own_directory
from .rootfs import CannotPrepare, Root, remove_stubs
from .strays import end_strays

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

_NOTES = "notes"
_LIFTED = "lifted"


class _Cover:
    """One name that is taken: ``name`` in the open directory ``above``.

    ``number`` is what the image's own goes by meanwhile, empty if it has none; ``time`` is when ``above`` was changed.
    ``inside`` is our directory there (-1 for a file), and ``original`` what it is a copy of, to be written back;
    ``before`` is what was in that.
    """

    __slots__ = ("above", "before", "inside", "name", "number", "original", "time")

    def __init__(self, above: int, name: str, number: str) -> None:
        self.above = above
        self.name = name
        self.number = number
        self.time = os.stat(above)
        self.inside = -1
        self.original = -1
        self.before: copying.Listing = set()


class Covers:
    """All that lies over the image for one run.

    ``directory`` is the root on disk, opened as ``root``; ``aside`` is the directory to make for what is moved.
    """

    def __init__(self, root: Root, directory: str, aside: str) -> None:
        self._root = root
        self._directory = directory
        self._place_aside = aside
        self._covers: list[_Cover] = []
        self._aside = self._notes = -1

    def begin(self) -> None:
        """Make the directory for what is moved; if a run that was killed has left one, undo that run first."""
        if os.path.isdir(self._place_aside):
            end_strays(self._directory)
            _undo(self._root, self._place_aside)
        os.mkdir(self._place_aside, 0o700)
        self._aside = copying.open_directory(self._place_aside)
        self._notes = os.open(_NOTES, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=self._aside)

    def system_directory(self, name: str, mounts: list[dict[str, Any]]) -> int:
        """Cover /dev, /proc or /sys with an empty directory, and return that, open; see ``own_directory``."""
        os.close(own_directory(self._root, name, mounts))
        return self._directory_at(name, 0o755)

    def file(self, path: str, content: bytes, *, only_if_parent: bool) -> None:
        """Have ``content`` at ``path``."""
        if only_if_parent:
            try:
                os.close(self._root.find(path.rpartition("/")[0]))
            except OSError:
                return
        cover = self._cover(self._root.true_place(path, make="file"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.open(cover.name, flags, 0o644, dir_fd=cover.above)
        os.write(file, content)
        os.close(file)
        self._give_time_back(cover)

    def memory(self, target: str, mode: int) -> None:
        """Have an empty directory at ``target``, with the mode of one that is there, as ``mounts`` has it.

        Deviation: on the chroot rung a tmpfs is a directory on disk.
        """
        place = self._root.true_place(target, make="directory")
        if not self._is_stub(place):
            there = self._root.find(place)
            mode = os.stat(there).st_mode & 0o7777
            os.close(there)
        self._directory_at(place, mode)

    def copy(self, source: str, target: str, *, read_only: bool) -> None:
        """Have a copy of ``source`` at ``target``, and what was written to it written back, unless ``read_only``.

        Deviation: on the chroot rung a mount is a copy; others see what is written to it when the command has ended.
        """
        kind = kind_of_source(source)
        cover = self._cover(self._root.true_place(target, make=kind))
        try:
            copying.copy(source, None, cover.above, cover.name)
            if kind == "directory":
                cover.inside = copying.open_directory(cover.name, cover.above)
            if kind == "directory" and not read_only:
                cover.before = copying.listing(cover.inside)
                cover.original = copying.open_directory(source)
        except (OSError, RecursionError) as error:
            raise CannotPrepare(
                f"nothing can be mounted here, and {target} cannot be copied: {_words(error)}"
            ) from error
        self._give_time_back(cover)

    def lift(self) -> None:
        """Take all covers away, the last first, and what was made for them; then it is as if they had not been."""
        if self._aside < 0:
            return
        trouble = []
        for cover in reversed(self._covers):
            trouble += self._lift(cover)
            wire.send(self._notes, ("", _LIFTED))
        remove_stubs(self._directory, self._root.stubs)
        os.close(self._notes)
        copying.empty(self._aside)
        os.close(self._aside)
        os.rmdir(self._place_aside)
        self._aside = -1
        if trouble:
            raise CannotPrepare(trouble[0])

    def _directory_at(self, place: str, mode: int) -> int:
        cover = self._cover(place)
        os.mkdir(cover.name, 0o700, dir_fd=cover.above)
        cover.inside = copying.open_directory(cover.name, cover.above)
        os.fchmod(cover.inside, mode)
        self._give_time_back(cover)
        return cover.inside

    def _cover(self, place: str) -> _Cover:
        """Free the name ``place``, a path without links in the root: what stands there is moved aside, if not ours."""
        *parents, name = place.split("/")
        above = self._root._open(parents)
        made = self._root.stubs.pop() if self._is_stub(place) else None
        cover = _Cover(above, name, "" if made else str(len(self._covers)))
        wire.send(self._notes, (place, cover.number))
        if made:
            copying.delete(name, above)
        else:
            self._move_aside(cover, place)
        self._covers.append(cover)
        return cover

    def _is_stub(self, place: str) -> bool:
        """Tell whether what is at ``place`` was made only now, to be covered."""
        last = self._root.stubs[-1] if self._root.stubs else None
        return last is not None and last.path == place and not last.keep

    def _move_aside(self, cover: _Cover, place: str) -> None:
        try:
            os.rename(cover.name, cover.number, src_dir_fd=cover.above, dst_dir_fd=self._aside)
        except OSError as error:
            raise CannotPrepare(f"/{place} cannot be moved out of the way of the command's: {_words(error)}") from error

    def _lift(self, cover: _Cover) -> list[str]:
        """Take one cover away; the answer is what could not be written back, in words."""
        trouble = self._bring_back(cover) if cover.original >= 0 else []
        if cover.inside >= 0:
            copying.empty(cover.inside)  # by its descriptor: it may go by another name now
            os.close(cover.inside)
        cover.time = os.stat(cover.above)
        try:
            copying.delete(cover.name, cover.above)
            if cover.number:
                os.rename(cover.number, cover.name, src_dir_fd=self._aside, dst_dir_fd=cover.above)
            self._give_time_back(cover)
        except FileNotFoundError:  # the command has deleted the directory around it
            pass
        os.close(cover.above)
        return trouble

    def _bring_back(self, cover: _Cover) -> list[str]:
        try:
            copying.bring_back(cover.inside, cover.original, cover.before)
        except (OSError, RecursionError) as error:
            return [f"what was written to the mount {cover.name} cannot be kept: {_words(error)}"]
        finally:
            os.close(cover.original)
        return []

    def _give_time_back(self, cover: _Cover) -> None:
        """Let the directory around a cover not look changed."""
        os.utime(f"/proc/self/fd/{cover.above}", ns=(cover.time.st_atime_ns, cover.time.st_mtime_ns))


def _words(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or "its directories are nested too deep"


def _undo(root: Root, place: str) -> None:
    """Put back what a run that was killed had moved to ``place``, as far as it can still be found.

    The rest stays beside the root, under a name that nobody uses again.
    """
    aside = copying.open_directory(place)
    try:
        for path, number in reversed(_noted(aside)):
            try:
                _put_back(root, path, number, aside)
            except OSError:  # the command has moved what is around it, or it had not been moved yet
                continue
        copying.delete(_NOTES, aside)
        lost = os.listdir(aside)
    finally:
        os.close(aside)
    if not lost:
        os.rmdir(place)
        return
    count = 1
    while os.path.lexists(f"{place}.{count}"):
        count += 1
    os.rename(place, f"{place}.{count}")


def _noted(aside: int) -> list[tuple[str, str]]:
    """Read which covers there were when it was killed, as (place, number)."""
    try:
        notes = os.open(_NOTES, os.O_RDONLY | os.O_CLOEXEC, dir_fd=aside)
    except FileNotFoundError:  # it had only begun, or was at its end
        return []
    noted: list[tuple[str, str]] = []
    while (note := wire.receive(notes)) is not None:
        if note[1] == _LIFTED:
            noted.pop()
        else:
            noted.append(note)
    os.close(notes)
    return noted


def _put_back(root: Root, path: str, number: str, aside: int) -> None:
    *parents, name = path.split("/")
    above = root._open(parents)
    try:
        if number:
            os.stat(number, dir_fd=aside, follow_symlinks=False)  # or it was killed before it moved anything
        before = os.stat(above)
        copying.delete(name, above)
        if number:
            os.rename(number, name, src_dir_fd=aside, dst_dir_fd=above)
        os.utime(f"/proc/self/fd/{above}", ns=(before.st_atime_ns, before.st_mtime_ns))
    finally:
        os.close(above)
