"""Run a command under proot: a tracer that rewrites paths and identities, for machines without namespaces.

proot (https://proot-me.github.io) is a program of its own. Nothing of the image may reach it: it is called by its full
path, and the image's LD_* and PROOT_* variables are set further in, by the image's own `env`.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import stat

from . import kernel, seccomp, supervise, wire
from .command import CannotExecute, begin_session
from .loaders import write_loaders
from .mounts import NODES, kind_of_source, own_directory
from .rootfs import CannotPrepare, Root, restrict

TYPE_CHECKING = False  # not from typing: importing that takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

_NOT_FOR_PROOT = ("LD_", "PROOT_", "GLIBC_TUNABLES", "MALLOC_")
_ONLY_FOR_PROOT = "PROOT_TMP_DIR PROOT_NO_SECCOMP PROOT_LOADER PROOT_LOADER_32"


def start(spec: dict[str, Any]) -> None:
    """Run the command under proot, to its end, and see that nothing of it is left."""
    if "path" not in spec["root"]:
        raise CannotPrepare("proot cannot mount an overlay")
    directory = spec["root"]["path"]
    scratch = _make_scratch(spec["scratch"])
    supervise.adopt_orphans()
    try:
        pid, setup = supervise.fork(lambda report: _become_traced(spec, directory, scratch, report))
        supervise.watch(pid, setup, directory, generations=2)
    finally:
        _sweep(scratch)


def _become_traced(spec: dict[str, Any], directory: str, scratch: str, report: int) -> None:
    os.umask(0)
    _shield_the_host()
    root = Root(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    try:
        arguments = _arguments(spec, root, scratch)
    finally:
        wire.send(report, ("stubs", [(stub.path, stub.is_directory, stub.keep) for stub in root.stubs]))
    os.umask(0o022)
    begin_session(terminal=spec["terminal"])
    filter_program = seccomp.program_for_proot(os.uname().machine)
    if filter_program:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)  # without which only root may install a filter
        kernel.install_filter(filter_program)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, _signal.SIGKILL)
    os.execve(spec["program"], arguments, _environment_of_proot(spec, scratch))


def _shield_the_host() -> None:
    """Make what is bound from the host read-only, where we are root and may.

    proot only pretends a chown, but a ``chmod`` of /dev/null or a word written to /proc/sys would be real. Who is not
    root can do no harm with these; who is root without the right to mount has a container around that guards them.
    """
    if os.geteuid() != 0:
        return
    try:
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
        for path in ("/sys", "/proc/sys", "/proc/sysrq-trigger", "/proc/keys", *(f"/dev/{name}" for name in NODES)):
            if os.path.exists(path):
                kernel.mount(path, path, "", kernel.MS_BIND)
                restrict(path, kernel.MS_RDONLY)
    except OSError:
        pass


def _arguments(spec: dict[str, Any], root: Root, scratch: str) -> list[str]:
    """Put proot's command line together, making in ``root`` what has to be there for its bindings."""
    directory = root.find(spec["cwd"], make="directory", keep=True)
    if not stat.S_ISDIR(os.stat(directory).st_mode):
        raise CannotPrepare(f"the working directory {spec['cwd']} cannot be used: Not a directory")
    os.close(directory)
    identity = ["-0"] if (spec["uid"], spec["gid"]) == (0, 0) else ["-i", f"{spec['uid']}:{spec['gid']}"]
    arguments = ["proot", "-v", "-1", *identity, "-r", spec["root"]["path"], "-w", spec["cwd"]]
    for source, target in _bindings(spec, root, scratch):
        arguments += ["-b", f"{source}:{target}!"]
    return [*arguments, *_command(spec, root)]


def _bindings(spec: dict[str, Any], root: Root, scratch: str) -> list[tuple[str, str]]:
    """List (path of the host, path inside), the outer ones first."""
    for name in ("dev", "proc", "sys"):
        os.close(own_directory(root, name, spec["mounts"]))
    os.mkdir(f"{scratch}/shm", 0o1777)
    found = [(f"{scratch}/dev", "/dev"), ("/proc", "/proc"), ("/sys", "/sys"), (f"{scratch}/shm", "/dev/shm")]
    os.mkdir(f"{scratch}/dev", 0o755)
    for name in (*NODES, "pts", "ptmx"):
        if os.path.exists(f"/dev/{name}"):
            _make_place(f"{scratch}/dev/{name}", is_directory=name == "pts")
            found.append((f"/dev/{name}", f"/dev/{name}"))
    _make_place(f"{scratch}/dev/shm", is_directory=True)
    for name, goal in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{goal}", f"{scratch}/dev/{name}")
    for number, (path, content, only_if_parent) in enumerate(spec["files"]):
        if only_if_parent and not _exists(root, path.rpartition("/")[0]):
            continue
        with open(f"{scratch}/{number}", "wb") as file:
            file.write(content)
        found.append((f"{scratch}/{number}", "/" + root.true_place(path, make="file")))
    return found + [_asked(root, mount, scratch) for mount in spec["mounts"]]


def _asked(root: Root, mount: dict[str, Any], scratch: str) -> tuple[str, str]:
    """Bind what was asked for. Deviation: under proot a read-only mount can be written to, and a tmpfs is on disk."""
    if "source" in mount:
        make = kind_of_source(mount["source"])
        return mount["source"], "/" + root.true_place(mount["target"], make=make)
    source = f"{scratch}/tmpfs{len(os.listdir(scratch))}"
    os.mkdir(source, mount["mode"])
    return source, "/" + root.true_place(mount["target"], make="directory")


def _make_place(path: str, *, is_directory: bool) -> None:
    if is_directory:
        os.mkdir(path, 0o755)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o644))


def _exists(root: Root, path: str) -> bool:
    try:
        os.close(root.find(path))
    except OSError:
        return False
    return True


def _command(spec: dict[str, Any], root: Root) -> list[str]:
    """Find the program, and put a shell before it that survives it: proot does not tell of a death by signal.

    The shell also takes away the variables that only proot was to see.
    """
    script = f'unset {_ONLY_FOR_PROOT}; "$@"; exit "$?"'
    shell = ["/bin/sh", "-c", script, "sh"] if _mode(spec, root, "/bin/sh") & 0o111 else []
    return [*shell, *_with_variables(spec, root)]


def _with_variables(spec: dict[str, Any], root: Root) -> list[str]:
    """Put the image's `env` before the program if there are variables that proot must not see."""
    argv, env = spec["argv"], spec["env"]
    program = _find_program(spec, root, argv[0])
    kept_back = [f"{name}={value}" for name, value in env.items() if name.startswith(_NOT_FOR_PROOT)]
    if kept_back:
        for tool in ("/usr/bin/env", "/bin/env"):
            if _mode(spec, root, tool) & 0o111:
                return [tool, *kept_back, program, *argv[1:]]
    return [program, *argv[1:]]


def _find_program(spec: dict[str, Any], root: Root, name: str) -> str:
    """Look ``name`` up below ``root``, from where it cannot be executed; with runc's words if it isn't there."""
    if "/" in name:
        mode = _mode(spec, root, name if name.startswith("/") else f"{spec['cwd']}/{name}")
        if not mode:
            raise CannotExecute(f'exec: "{name}": stat {name}: no such file or directory', 127)
        if not mode & 0o111:
            raise CannotExecute(f'exec: "{name}": permission denied', 126)
        return name
    for directory in spec["env"].get("PATH", "").split(":"):
        if _mode(spec, root, f"{directory}/{name}") & 0o111:
            return f"{directory}/{name}"
    raise CannotExecute(f'exec: "{name}": executable file not found in $PATH', 127)


def _mode(spec: dict[str, Any], root: Root, path: str) -> int:
    """Tell the mode of the file at ``path`` inside; 0 if there is none."""
    try:
        for mount in spec["mounts"]:
            if "source" in mount and path.startswith(mount["target"] + "/"):
                return _mode_of_file(os.stat(mount["source"] + path[len(mount["target"]) :]))
        descriptor = root.find(path)
    except OSError:
        return 0
    found = os.stat(descriptor)
    os.close(descriptor)
    return _mode_of_file(found)


def _mode_of_file(found: os.stat_result) -> int:
    return found.st_mode if stat.S_ISREG(found.st_mode) else 0


def _environment_of_proot(spec: dict[str, Any], scratch: str) -> dict[str, str]:
    env = {name: value for name, value in spec["env"].items() if not name.startswith(_NOT_FOR_PROOT)}
    env |= {"PROOT_TMP_DIR": scratch} | write_loaders(spec["program"], scratch)
    if spec["without_seccomp"]:
        env["PROOT_NO_SECCOMP"] = "1"
    return env


def _make_scratch(parent: str) -> str:
    """Make a directory for this run, and sweep those of runs that were killed."""
    os.makedirs(parent, 0o700, exist_ok=True)
    for name in os.listdir(parent):
        if name.startswith("proot-") and not os.path.exists(f"/proc/{name[6:]}"):
            _sweep(f"{parent}/{name}")
    scratch = f"{parent}/proot-{os.getpid()}"
    os.mkdir(scratch, 0o700)
    return scratch


def _sweep(directory: str) -> None:
    """Delete ``directory`` and what is in it; never follows a link."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _sweep(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(directory)
