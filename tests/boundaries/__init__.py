"""The table of boundaries: one row a boundary, one lane a library, three questions each.

    python -m tests.boundaries            # measure all lanes on this Python and print the table
    python -m tests.boundaries --write    # and put it into docs/reference/boundaries.md
    python -m tests.boundaries --all      # on every supported Python installed here, each in turn

* present? what was bound by whoever submitted is there;
* nobody else's? no other request's is, nor any where nothing was bound;
* restored? whoever submitted, and the worker, have afterwards what they had before.
"""
