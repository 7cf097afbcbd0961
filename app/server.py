"""The web application: our routes, the page, and the guard around both."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from annotation_store.errors import StoreError
from annotation_store.workspace import Workspace
from app.guard import Guard, names_of_this_machine
from app.live import Live, live_route
from app.notices import Notice, RefusedError, explain
from app.page_access import PageAccess
from app.routes.attention import attention_routes
from app.routes.clicks import click_routes
from app.routes.clips import clip_routes
from app.routes.comparison import compare_routes
from app.routes.drafts import draft_routes
from app.routes.exports import export_routes
from app.routes.jobs import job_routes
from app.routes.masks import mask_routes
from app.routes.queries import query_routes
from app.routes.repairs import repair_routes
from app.routes.sources import source_routes
from app.routes.tools import tool_routes
from app.services import Services
from app.settings import Settings
from app.work.jobs import Jobs
from app.workers.downloads import Downloads
from app.workers.model_tasks import model_tasks
from app.workers.store_tasks import store_tasks
from app.workers.worker import Priority, Worker
from model.segmenter import ModelError

ROUTES = (
    clip_routes,
    mask_routes,
    click_routes,
    draft_routes,
    query_routes,
    job_routes,
    export_routes,
    compare_routes,
    repair_routes,
    attention_routes,
    source_routes,
    tool_routes,
)
"""Everything below /api but the live channel."""
COMPONENTS = Path(__file__).parent / "components"
STATIC_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def create_services(settings: Settings, workspace: Workspace) -> Services:
    """Everything the routes need; the workers are started with the application."""
    live = Live()

    def told(state: str, message: str) -> None:
        live.say({"type": "worker", "state": state, "message": message}, standing="worker")

    private = settings.without_logins()
    return Services(
        settings,
        workspace,
        live,
        Jobs(live),
        models=Worker("model", model_tasks, private, told=told),
        # The jobs of the store worker say for themselves what became of them.
        files=Worker("store", store_tasks, private),
        downloads=Downloads(),
    )


def create_app(settings: Settings, workspace: Workspace) -> FastAPI:
    """The whole application.  The page is built here, so this takes as long as Gradio does."""
    services = create_services(settings, workspace)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.live.open()
        services.models.start()
        # Importing and loading take seconds: they are over before anybody has opened a clip.
        services.models.submit("load", Priority.AHEAD, refiner=settings.refiner)
        services.files.start()
        services.downloads.start()
        yield
        services.live.close()
        parts = (services.models, services.files, services.downloads)
        await asyncio.gather(*(asyncio.to_thread(part.stop) for part in parts))

    app = FastAPI(
        title="Refscribe", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    for kind in (RefusedError, StoreError, ModelError, Exception):
        app.add_exception_handler(kind, _answer_failure)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    for routes in ROUTES:
        app.include_router(routes(services))
    app.include_router(live_route(services.live))
    app.include_router(static_routes())
    app.include_router(unknown_routes())  # the last of ours: everything else is the page's
    _mount_page(app, settings)
    app.add_middleware(PageAccess)
    # Asked once: the resolver may take seconds, and a request names whatever it likes.
    names = frozenset() if settings.is_loopback else names_of_this_machine()
    app.add_middleware(Guard, settings=settings, machine_names=names)
    return app


def _mount_page(app: FastAPI, settings: Settings) -> None:
    # Gradio reads this when it builds the page: nothing is sent anywhere.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from app.page import build_page, mount_options

    gr.mount_gradio_app(
        app,
        build_page(settings.checkpoint_names),
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        show_error=False,
        max_file_size="1mb",  # the page has no upload of Gradio's
        **mount_options(),
    )


def _answer(notice: Notice) -> Response:
    return JSONResponse({"error": notice.sentence, "code": notice.code}, status_code=notice.status)


async def _answer_failure(_request: Request, error: Exception) -> Response:
    return _answer(explain(error))


async def _answer_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's own, for bodies that no JSON reader gets through
        return _answer(Notice("The body of this request is no JSON we can read.", "invalid", 400))
    code = {404: "missing", 405: "method"}.get(error.status_code, "refused")
    return _answer(Notice(str(error.detail), code, error.status_code))


async def _answer_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _answer(Notice("The body of this request is no JSON.", "invalid", 422))
    place = " ".join(str(part) for part in first["loc"][1:]) or "the request"
    return _answer(Notice(f"{place}: {first['msg']}.", "invalid", 422))


def static_routes() -> APIRouter:
    """The browser modules of `components/`, looked up in a list made once."""
    router = APIRouter()
    files = {
        path.relative_to(COMPONENTS).as_posix(): path
        for path in COMPONENTS.rglob("*")
        if path.suffix in STATIC_TYPES
    }

    @router.get("/studio/{name:path}")
    def module(name: str, request: Request) -> Response:
        path = files.get(name)
        if path is None:
            raise HTTPException(404, f"There is no {name[:80]}.")
        data = path.read_bytes()
        tag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
        headers = {"Cache-Control": "no-cache", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=STATIC_TYPES[path.suffix], headers=headers)

    @router.get("/favicon.ico")
    def favicon() -> Response:
        return FileResponse(Path(__file__).parent / "favicon.svg", media_type="image/svg+xml")

    return router


def unknown_routes() -> APIRouter:
    """A wrong address below /api is answered as ours are, not by Gradio's page."""
    router = APIRouter()

    @router.api_route("/api/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def unknown(rest: str) -> Response:
        raise RefusedError(f"There is no /api/{rest[:80]}.", code="missing", status=404)

    return router
