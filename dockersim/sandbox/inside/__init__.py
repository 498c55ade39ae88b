"""What happens on the inside: the small process that becomes the command of a RUN.

The real thing is runc's init (``libcontainer/rootfs_linux.go``, ``standard_init_linux.go``). It is started for every
RUN with a fresh Python, so its law is: **import nothing that is not needed for this very run** (no ``json``, no
``subprocess``, no ``typing``: each costs more than all the mounts together), and nothing of the rest of dockersim. It
is imported as a package of its own, which is why its modules speak to each other with relative imports only.

The steps, in order, each in its own module:

    main        reads what is asked, and picks what to do
    supervise   stays outside, watches the command, and tidies up when it has ended
    rootfs      lays the root file system out, and finds paths in it without ever leaving it
    mounts      /proc, /dev, /sys, /etc/resolv.conf and the mounts that were asked for
    network     lo, and the address of a container
    chroot      all this where nothing can be mounted; ``covers`` and ``copying`` do there what mounts do elsewhere
    tracing     all this by proot, where not even root's directory can be changed; ``loaders`` gives proot what it needs
    privilege   identity, capabilities
    seccomp     the filter: what a container may not do, and what an ordinary user's RUN only believes it did
    notify      hears the calls that a user's RUN only believes it did; ``ledger`` writes down what they were,
                ``caller`` finds which files they meant
    command     finds the program and becomes it
    kernel      the system calls that Python 3.11 has no name for

>>> from dockersim.sandbox.inside.seccomp import program
>>> len(program("x86_64", pretend=True)) % 8, program("pdp11", pretend=True)
(0, b'')
"""
