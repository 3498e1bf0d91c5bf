"""The routes of ``whippet ui``: each address and what answers it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from dashboards.browse.comparison import comparison_page
from dashboards.browse.frame import ASSETS, POLICY, asset, served_page
from dashboards.browse.run import run_page
from dashboards.browse.runs import runs_page
from dashboards.browse.trying import answer_markup, refusal_markup, trying_page
from dashboards.page.markup import Section, paragraph
from platforms import Settings
from platforms.errors import DataError, ParameterError, WhippetError
from sm_entrypoints.contract.sentences import clause
from tasks.browse.asking import EndpointsInService
from tasks.browse.catalogue import FILES, list_runs, require_run, view_run
from tasks.browse.compared import compared_run
from tasks.runs.record import REPORT_FILE

# As much of a dropped picture as is read.
MOST_BYTES = 64 * 1024 * 1024
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """The pages over one home; what takes long runs in a thread."""

    def __init__(self, settings: Settings, endpoints: EndpointsInService) -> None:
        self._settings, self._endpoints = settings, endpoints

    def routes(self) -> list[Route]:
        """Return the routes of the application."""
        return [
            Route("/", self._runs),
            Route("/runs/{name}", self._run),
            Route("/runs/{name}/report", self._report),
            Route("/runs/{name}/files/{file}", self._file),
            Route("/compare", self._compare),
            Route("/try", self._try),
            Route("/endpoints/{name}/answer", self._answer, methods=["POST"]),
            Route("/{asset}", _asset),
        ]

    async def _runs(self, request: Request) -> Response:
        query = request.query_params
        lines = await run_in_threadpool(list_runs, self._settings)
        return _page(runs_page(lines, query.get("q", ""), query.get("state", "")))

    async def _run(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            view = await run_in_threadpool(view_run, self._settings, name)
        except (FileNotFoundError, ParameterError) as error:
            return _refusal(error)
        return _page(run_page(view))

    async def _report(self, request: Request) -> Response:
        return self._handed_out(request.path_params["name"], REPORT_FILE)

    async def _file(self, request: Request) -> Response:
        return self._handed_out(request.path_params["name"], request.path_params["file"])

    def _handed_out(self, name: str, file: str) -> Response:
        try:
            require_run(self._settings, name)
        except FileNotFoundError as error:
            return _refusal(error)
        path = self._settings.runs / name / file
        if file not in FILES or not path.is_file():
            return _refusal(FileNotFoundError(f"run {name!r} has no file {file!r} to show"))
        # A report has a policy of its own, in the page.
        return FileResponse(path, media_type=FILES[file], headers=_SAFE)

    async def _compare(self, request: Request) -> Response:
        names = request.query_params.getlist("run")
        if len(names) != 2:
            count = len(names) or "none"
            return _refusal(
                ParameterError(f"tick two runs to compare them: there were {count}"), 400
            )
        if names[0] == names[1]:
            return _refusal(ParameterError("tick two different runs to compare them"), 400)
        try:
            page = await run_in_threadpool(self._comparison, *names)
        except (FileNotFoundError, ParameterError, ValueError) as error:
            return _refusal(error)
        return HTMLResponse(page, headers=_SAFE)  # its policy is in the page

    def _comparison(self, left: str, right: str) -> str:
        return comparison_page(*(compared_run(self._settings, name) for name in (left, right)))

    async def _try(self, request: Request) -> Response:
        try:
            names = await run_in_threadpool(self._endpoints.names)
        except WhippetError as error:
            return _page(trying_page([], None, clause(error)))
        asked = request.query_params.get("endpoint")
        if asked and asked not in names:
            problem = (
                f"Endpoint {asked!r} is not in service: `whippet endpoints` lists those that are."
            )
            return _page(trying_page([], None, problem))
        return _page(trying_page(names, asked or (names[0] if names else None)))

    async def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            picture = await _picture(request)
            answers = await run_in_threadpool(self._endpoints.ask, name, picture)
        except WhippetError as error:
            return HTMLResponse(refusal_markup(clause(error)), 422, headers=_SAFE)
        return HTMLResponse(answer_markup(answers), headers=_SAFE)


async def not_found(request: Request, error: Exception) -> Response:
    """Answer an address that leads nowhere."""
    return _refusal(FileNotFoundError(f"there is no page {request.url.path}"))


async def _asset(request: Request) -> Response:
    name = request.path_params["asset"]
    if name not in ASSETS:
        return _refusal(FileNotFoundError(f"there is no page /{name}"))
    return Response(asset(name), media_type=ASSETS[name], headers=_SAFE)


async def _picture(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise DataError(f"the file is larger than {MOST_BYTES // 2**20} MiB")
        parts.append(part)
    return b"".join(parts)


def _page(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, headers={**_SAFE, "Content-Security-Policy": POLICY})


def _refusal(error: Exception, status: int | None = None) -> Response:
    missing = isinstance(error, FileNotFoundError)
    blocks = [paragraph(str(error), "empty")]
    page = served_page(
        "Not found" if missing else "That does not work",
        "nothing was changed",
        [Section(anchor="problem", title="", blocks=blocks)],
    )
    return _page(page, status or (404 if missing else 422))
