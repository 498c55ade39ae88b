"""The practice registry: an OCI registry (distribution-spec 1.1) on one directory, in one process.

The real thing is ``distribution/distribution``; Docker Hub, zot and Harbor answer the same requests. Inside:

    blobs       content by digest, verified; upload sessions
    repositories  which repository has which blob, manifest, tag and referrer
    manifests   what a manifest must be to be let in
    inventory   the same as one looks at it: who shares a blob, what a delete frees
    users       names and scrypt hashes
    access      who may do what; tokens
    sending     what is on the disk, a piece at a time
    app         the requests of the spec, as a table
    service     one process per root: start, find, stop

The law: nothing is acknowledged before it is on disk under its final name, nothing is served that was not verified,
no blob is ever whole in memory.
"""
