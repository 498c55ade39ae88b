"""The command line: docker's commands under docker's names, and a few of our own.

``dockersim build``, ``images``, ``push``, ``run`` and the rest take docker's options, print docker's columns and end
with docker's exit codes, so that what is learnt here is typed there. What docker has not: ``plan`` (what would be
cached, and why), ``step`` (walk a build), ``base``, ``registry``, ``lab``, ``demo``. The real thing is docker/cli.

    main, boundary      the tree of commands; every error as one line and an exit code
    session             what the commands share: the engine, the terminal
    build, plan, step   building
    images, archives    what is in the store, and in files
    shipping            login, push, pull
    containers          run, ps, logs, stop, rm, exec
    machine             info, version
    bases, practice     base images; the practice registry
    lab, demo           the lessons; the whole tutorial in one command

The law of this package: it reads the environment, prints, asks and exits, and decides nothing that a notebook would
have to decide again. A command's module is imported when the command is called: ``dockersim build`` with every step
cached must be over before anybody notices.
"""
