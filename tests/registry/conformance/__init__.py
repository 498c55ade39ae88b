"""The checks of the OCI distribution conformance suites, as code of our own, for any registry.

    exchange     a repository of a registry under test, as a client sees it
    data         the data sets: what is pushed, listed, pulled and deleted
    blobs, manifests, listings    the rules, one function each
    walk         the unreleased suite: which rule is tried with which data, in which order
    released     the released suite 1.1.1: four workflows
    recorded     what the official suites found at three registries
    __main__     both suites against our registry and Debian's docker-registry, and the README's table

The rules are those of ``../shared/conformance/distribution-next.json``, which gives them in words. That ours are
right is known from docker-registry: every check must judge it as the official suite did.
"""
