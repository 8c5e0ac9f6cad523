"""OHIF, as its package on npm ships it, served on loopback over the DICOMweb of an Orthanc."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from mapnode.pacs import Credentials, free_port
from tests.node_under_test import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from tests.viewers.chromium import Chromium

VERSION = "3.13.2"
BUILD = Path(__file__).resolve().parents[2] / "build"
PACKAGE_SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""Of the package's file, as the registry's `dist.integrity` has it."""
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
"""Without these a page has no SharedArrayBuffer, which OHIF's volumes live in."""
CONFIGURATION = Path(__file__).resolve().parents[2] / "docker/viewer/app-config.js"
"""What the viewer of the stack is set up with."""
WITHOUT_GREETINGS = """
window.config.investigationalUseDialog = { option: "never" };
localStorage.setItem('shownTours', '["basicViewerTour"]');
"""


def unpack(folder: Path) -> Path:
    """The package's prebuilt `dist`, fetched by npm where it is not there yet.

    Args:
        folder: Where packages of OHIF are kept.

    Returns:
        The folder with `index.html`.
    """
    target = folder / VERSION
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", f"@ohif/app@{VERSION}", "--pack-destination", folder]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    package = folder / f"ohif-app-{VERSION}.tgz"
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    assert digest == PACKAGE_SHA512, f"{package.name} is not the package that these tests were written for: {digest}"
    draft = folder / f".{VERSION}.draft"
    with tarfile.open(package) as archive:
        # `ort` is the engine of OHIF's own networks: two thirds of the package, and not used here.
        wanted = [member for member in archive if not member.name.startswith("package/dist/ort/")]
        archive.extractall(draft, wanted, filter="data")
    (draft / "package" / "dist").rename(target)
    package.unlink()
    return target


class OhifServer:
    """OHIF's files, its configuration, and `/dicom-web` passed on to an Orthanc; a context manager.

    Args:
        dist: OHIF's `dist`.
        orthanc_url: Orthanc's REST.
        credentials: Its user and password, which the browser does not have.
    """

    def __init__(self, dist: Path, orthanc_url: str, credentials: Credentials) -> None:
        self._dist = dist
        self._upstream = httpx.AsyncClient(
            base_url=orthanc_url,
            auth=(credentials.user, credentials.password),
            timeout=60,
            # Orthanc closes idle connections after 1 s; its few threads are not to be taken by more connections.
            limits=httpx.Limits(max_connections=20, keepalive_expiry=0.5),
        )
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        routes = [
            Route("/app-config.js", _configuration),
            Route("/dicom-web/{path:path}", self._pass_on),
            Route("/{path:path}", self._file),
        ]
        app = Starlette(routes=routes, lifespan=self._lifespan)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, log_level="warning", ws="none", timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> OhifServer:
        self._thread.start()
        wait_for(lambda: self._server.started, 120, "the server of OHIF to start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._upstream:
            yield

    async def _file(self, request: Request) -> Response:
        """A file of OHIF; any other path is a place inside its single page."""
        path = (self._dist / request.path_params["path"]).resolve()
        is_file = path.is_relative_to(self._dist) and path.is_file()
        return FileResponse(path if is_file else self._dist / "index.html", headers=ISOLATION)

    async def _pass_on(self, request: Request) -> Response:
        """Orthanc's answer, as it comes."""
        headers = {name: request.headers[name] for name in ("accept",) if name in request.headers}
        question = self._upstream.build_request(
            "GET", request.url.path, params=request.query_params.multi_items(), headers=headers
        )
        answer = await self._upstream.send(question, stream=True)
        kept = {name: answer.headers[name] for name in ("content-type",) if name in answer.headers}
        return StreamingResponse(
            answer.aiter_raw(), answer.status_code, {**kept, **ISOLATION}, background=BackgroundTask(answer.aclose)
        )


async def _configuration(_: Request) -> Response:
    """What OHIF reads first."""
    return Response(CONFIGURATION.read_text() + WITHOUT_GREETINGS, media_type="text/javascript", headers=ISOLATION)


class OhifPage:
    """OHIF's page on one study, used as a reader would: thumbnails, buttons, arrows.

    It is ready when every image of the first stack is there: OHIF computes nothing from a SEG over images that it has
    not loaded, and does not come back to it.

    Args:
        browser: Where it is opened.
        url: Where OHIF is served.
        study_instance_uid: The study.
        series: How many series it has.
    """

    def __init__(self, browser: Chromium, url: str, study_instance_uid: str, series: int) -> None:
        self.browser = browser
        browser.open(f"{url}/viewer?StudyInstanceUIDs={study_instance_uid}")
        browser.wait_for(_IS_READY, series, timeout_s=90)

    @property
    def errors(self) -> list[str]:
        """What OHIF's page caught as the end of its work, or did not catch at all."""
        return [line for line in self.browser.console if "Error Boundary" in line or line.startswith("exception")]

    def show(self, series_instance_uid: str) -> None:
        """Double-click a series among the thumbnails."""
        self.browser.wait_for(_DOUBLE_CLICK, series_instance_uid)

    def press(self, label: str) -> None:
        """Press a button with this label, as soon as there is one."""
        self.browser.wait_for(_PRESS, label)

    def next_measurement(self) -> None:
        """Press the arrow that leads from one measurement to the next."""
        self.browser.evaluate(_NEXT)

    def scroll_to(self, index: int) -> None:
        """Show an image of the stack, counted from 0."""
        self.browser.evaluate(_SCROLL, index)

    def segments(self) -> dict[str, list[dict[str, Any]]]:
        """What OHIF made of a SEG, by label: its planes with voxels.

        A plane has `position`, `directions` (along a row, along a column) and `spacing` (between columns, between rows)
        in LPS and mm, `voxels`, and `sha256` of its bytes, 1 where the segment is and 0 elsewhere.
        """
        self.browser.wait_for(_HAS_LABELS)
        segments: dict[str, list[dict[str, Any]]] = self.browser.evaluate(_SEGMENTS)
        return segments

    def volumes_mm3(self) -> dict[str, float]:
        """Volumes that OHIF itself computes from a SEG and shows in its panel, by label."""
        volumes: dict[str, float] = self.browser.wait_for(_VOLUMES)
        return volumes

    def measurements(self) -> list[dict[str, Any]]:
        """Measurements of the SR that OHIF put on images: `tracking_uid`, `sop_instance_uid`, `points` in LPS, mm."""
        measurements: list[dict[str, Any]] = self.browser.evaluate(_MEASUREMENTS)
        return measurements

    def written_on_image(self) -> dict[str, list[list[str]]]:
        """Texts over the image that is shown: the lines of each, by the image's SOP Instance UID."""
        texts: dict[str, list[list[str]]] = self.browser.evaluate(_TEXTS)
        return texts

    def image(self) -> dict[str, Any]:
        """The image that is shown: `sha256` and `size` (columns, rows) of its pixels, and of the canvas the numbers of
        `pixels`, of those `lit`, and of those `coloured`.
        """
        image: dict[str, Any] = self.browser.evaluate(_IMAGE)
        return image


_VIEWPORT = "services.cornerstoneViewportService.getRenderingEngine()?.getViewports()[0]"
_INSTANCE = "(imageId => cornerstone.metaData.get('instance', imageId).SOPInstanceUID)"
_SHA256 = """(async bytes => [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))]
    .map(byte => byte.toString(16).padStart(2, '0')).join(''))"""
_IS_READY = f"""series => !!window.services?.displaySetService
    && services.displaySetService.getActiveDisplaySets().length >= series
    && {_VIEWPORT}?.viewportStatus === 'rendered'
    && {_VIEWPORT}.getImageIds().every(imageId => cornerstone.cache.getImage(imageId))"""
_DOUBLE_CLICK = """uid => {
    const set = services.displaySetService.getActiveDisplaySets().find(set => set.SeriesInstanceUID === uid);
    const thumbnail = document.getElementById(`thumbnail-${set?.displaySetInstanceUID}`);
    thumbnail?.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
    return !!thumbnail;
}"""
_PRESS = """label => {
    const button = [...document.querySelectorAll('button')].find(button => button.textContent.trim() === label);
    button?.click();
    return !!button;
}"""
_NEXT = """() => document.querySelector('[data-cy=viewport-action-arrows-right] svg')
    .dispatchEvent(new MouseEvent('click', { bubbles: true }))"""
_SCROLL = f"async index => {{ await {_VIEWPORT}.setImageIdIndex(index); }}"
_HAS_LABELS = """() => {
    const [segmentation] = services.segmentationService.getSegmentations();
    const imageIds = segmentation?.representationData.Labelmap?.imageIds ?? [];
    return imageIds.length > 0 && imageIds.every(imageId => cornerstone.cache.getImage(imageId));
}"""
_VOLUMES = """() => {
    const [segmentation] = services.segmentationService.getSegmentations();
    const segments = Object.values(segmentation?.segments ?? {});
    const volumes = segments.map(segment => [segment.label, segment.cachedStats?.namedStats?.volume?.value]);
    return volumes.every(([, volume]) => volume) ? Object.fromEntries(volumes) : {};
}"""
_SEGMENTS = f"""async () => {{
    const [segmentation] = services.segmentationService.getSegmentations();
    const {{ imageIds, labelmaps, segmentBindings }} = segmentation.representationData.Labelmap;
    const planesOf = async index => {{
        // Segments that overlap lie in several layers, each with images of its own.
        const binding = segmentBindings?.[index] ?? {{ labelValue: index }};
        const planes = [];
        for (const imageId of labelmaps?.[binding.labelmapId]?.imageIds ?? imageIds) {{
            const labels = cornerstone.cache.getImage(imageId).voxelManager.getScalarData();
            const mask = Uint8Array.from(labels, label => label === binding.labelValue);
            const voxels = mask.reduce((sum, voxel) => sum + voxel, 0);
            if (!voxels) continue;
            const plane = cornerstone.metaData.get('imagePlaneModule', imageId);
            planes.push({{
                position: [...plane.imagePositionPatient],
                directions: [...plane.rowCosines, ...plane.columnCosines],
                spacing: [plane.columnPixelSpacing, plane.rowPixelSpacing],
                voxels,
                sha256: await {_SHA256}(mask),
            }});
        }}
        return planes;
    }};
    const segments = {{}};
    for (const segment of Object.values(segmentation.segments)) {{
        segments[segment.label] = await planesOf(segment.segmentIndex);
    }}
    return segments;
}}"""
_MEASUREMENTS = f"""() => cornerstoneTools.annotation.state.getAllAnnotations()
    .filter(annotation => annotation.metadata.toolName === 'DICOMSRDisplay')
    .map(annotation => ({{
        tracking_uid: annotation.data.TrackingUniqueIdentifier,
        sop_instance_uid: {_INSTANCE}(annotation.metadata.referencedImageId),
        points: Object.values(annotation.data.renderableData)[0][0].map(point => [...point]),
    }}))"""
_TEXTS = f"""() => {{
    const imageId = {_VIEWPORT}?.getCurrentImageId();
    const texts = [...document.querySelectorAll('svg text')];
    return imageId ? {{ [{_INSTANCE}(imageId)]: texts.map(text => [...text.children].map(l => l.textContent)) }} : {{}};
}}"""
_IMAGE = f"""async () => {{
    const viewport = {_VIEWPORT};
    const image = viewport.getCornerstoneImage();
    const canvas = viewport.getCanvas();
    const shown = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let lit = 0, coloured = 0;
    for (let at = 0; at < shown.length; at += 4) {{
        const [least, , most] = [shown[at], shown[at + 1], shown[at + 2]].sort((a, b) => a - b);
        lit += most > 0;
        coloured += most - least > 60;
    }}
    const sha256 = await {_SHA256}(image.getPixelData());
    return {{ sha256, size: [image.width, image.height], pixels: shown.length / 4, lit, coloured }};
}}"""
