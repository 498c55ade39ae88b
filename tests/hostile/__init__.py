"""Hostile images: every attack we know of, through every way by which an archive or a document comes in.

An attack is a small function named after what it is (``layers``, ``bombs``, ``documents``, ``traces``), which makes its
archive or document anew each time; nothing hostile is committed. A way in (``ways``) feeds it to the program as a
learner would. Around them lies an ``arena`` with things that must not be touched. ``python -m tests.hostile`` prints
what became of each pair, ``--full`` tries the attacks that need size at their real size as well.
"""
