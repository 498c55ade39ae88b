"""The page that the practice registry serves at ``/``: what it holds, who shares it, and every request as it comes.

Docker's ``registry:2`` has no page; those of Docker Hub and Harbor show tags and sizes. This one is a lesson: the
manifest and the config are shown field by field, a layer with whoever shares it, a delete with what it would free.

    feed        the requests as they come, for any number of pages
    visitors    who may look, and whether a form was sent from here
    markup, layout, documents, meanings   values to HTML
    home, image, freeing, log             the pages
    visit, requests, orders               the addresses, and who may change something

The law: everything shown is escaped, since whoever pushes chose it; nothing is loaded from elsewhere; every address
is relative; what changes the registry is explained first, and needs the same rights as a push.
"""
