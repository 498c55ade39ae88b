"""``dockersim/starter:shell``: the host's shell and the small programs that every Dockerfile leans on."""

from __future__ import annotations

import os
import shutil

from dockersim.bases.libraries import LibrarySearch
from dockersim.bases.pieces import FileSet
from dockersim.errors import ImageError

COREUTILS = """
[ arch b2sum base32 base64 basename cat chgrp chmod chown chroot cksum comm cp csplit cut date dd df dir dirname du
echo env expand expr factor false fmt fold groups head hostid id install join link ln logname ls md5sum mkdir mkfifo
mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pr printenv printf pwd readlink realpath rm rmdir seq
sha1sum sha224sum sha256sum sha384sum sha512sum shuf sleep sort split stat stdbuf stty sum sync tac tail tee test
timeout touch tr true truncate tsort tty uname unexpand uniq unlink users vdir wc who whoami yes
"""

OTHERS = """
sh bash grep egrep fgrep sed awk find xargs tar gzip gunzip zcat cmp diff hostname getent which
ps pgrep pkill free uptime kill mount umount more
useradd usermod userdel groupadd groupdel passwd
"""

NEEDED = ("sh", "ls", "cat", "mkdir")

SYSTEM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
"""Where programs are looked for first: what stands earlier in a learner's PATH may be a shim of pyenv or asdf."""

DIRECTORIES = "dev etc/skel home mnt opt proc run srv sys usr/local/bin var/lib var/log"

TOP = ("/bin", "/sbin", "/lib", "/lib64")
"""On a merged-/usr host these are links into /usr, and scripts and loaders are named through them."""

TERMINALS = "ansi dumb linux screen tmux tmux-256color vt100 xterm xterm-256color"
TERMINFO = ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo")
"""Where the descriptions of terminals are (terminfo(5)): with them the arrow keys work in a shell inside."""

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""

GROUP = """\
root:x:0:
daemon:x:1:
tty:x:5:
www-data:x:33:
users:x:100:
nogroup:x:65534:
"""

NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
"""

LOGIN_DEFS = """\
UID_MIN 1000
UID_MAX 60000
GID_MIN 1000
GID_MAX 60000
UMASK 022
USERGROUPS_ENAB yes
ENCRYPT_METHOD SHA512
"""

OS_RELEASE = """\
PRETTY_NAME="dockersim starter ({host} programs of this machine)"
NAME="dockersim starter"
ID=dockersim-starter
"""


def collect_shell(search: LibrarySearch) -> FileSet:
    """Collect the files of the shell image from this machine."""
    files = FileSet()
    for directory in DIRECTORIES.split():
        files.directory(directory)
    for directory in filter(os.path.isdir, TOP):
        files.host(directory)
    for path in filter(None, map(find_program, (COREUTILS + OTHERS).split())):
        files.host(path)
    for terminal in TERMINALS.split():
        for place in filter(os.path.isfile, (f"{folder}/{terminal[0]}/{terminal}" for folder in TERMINFO)):
            files.host(place)
    search.complete(files)
    _settings(files)
    return files


def find_program(name: str) -> str | None:
    """Look a program up where the system keeps its own; None if it has none that we may read.

    On NixOS and Guix, which keep nothing there, PATH says where programs are. Raises ImageError if one is missing
    without which there is no image worth the name.
    """
    system = SYSTEM_PATH if shutil.which("ls", path=SYSTEM_PATH) else None
    found = shutil.which(name, path=system)
    if found is not None and os.access(found, os.R_OK):
        return os.path.abspath(found)
    if name in NEEDED:
        raise ImageError(f"this machine has no {name} to make a starter image of")
    return None


def _settings(files: FileSet) -> None:
    files.directory("root", 0o700)
    files.directory("tmp", 0o1777)
    files.directory("var/tmp", 0o1777)
    files.text("etc/passwd", PASSWD if has_bash(files) else PASSWD.replace("bash", "sh"))
    files.text("etc/group", GROUP)
    # No password, so nobody can log in by one; useradd wants the file to exist.
    files.text("etc/shadow", "root:*:0:0:99999:7:::\n", 0o640)
    files.text("etc/gshadow", "", 0o640)
    files.text("etc/nsswitch.conf", NSSWITCH)
    files.text("etc/login.defs", LOGIN_DEFS)
    files.text("etc/shells", "/bin/sh\n/bin/bash\n")
    files.text("etc/os-release", OS_RELEASE.format(host=host_name()))
    files.text("root/.bashrc", "PS1='\\u@\\h:\\w# '\n")


def has_bash(files: FileSet) -> bool:
    """Tell whether the host had a bash to collect; Alpine has none."""
    return "usr/bin/bash" in files or "bin/bash" in files


def host_name(path: str = "/etc/os-release") -> str:
    """Tell which distribution the programs come from, as its os-release names it."""
    try:
        with open(path, encoding="utf-8") as file:
            values = dict(line.strip().split("=", 1) for line in file if "=" in line)
    except OSError:
        return "the"
    return values.get("NAME", "the").strip("\"'")
