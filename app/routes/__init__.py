"""The HTTP border: parse what comes, call the store or a worker, answer.

No route imports another route.
"""
