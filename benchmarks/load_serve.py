"""Serve our pages, or the bare form, with the software of the quickstart.

    python -m benchmarks.load_serve evalsite|bare_form PORT

No model is loaded and nothing else runs in the process, so that pages are compared with pages.
"""

import sys
from importlib import import_module

from a2wsgi import WSGIMiddleware

from evalsite import mixtures, server

PAGES = {"evalsite": "evalsite.wsgi", "bare_form": "benchmarks.bare_form.wsgi"}


def main() -> None:
    program, port = sys.argv[1:]
    mixtures.one_process = True
    pages = import_module(PAGES[program]).application
    server.application = lambda: server.ByPath(WSGIMiddleware(pages, workers=server.PAGE_THREADS), streams=pages)
    with server.listen("127.0.0.1", int(port)) as listener:
        server.serve(listener, started=lambda: None)


if __name__ == "__main__":
    main()
