# Two commands do everything on a fresh Debian 12 machine: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?=
TORCH := torch==2.13.0
ORTHANC_PLUGINS := /usr/share/orthanc/plugins
# COMMAND_OR_FILE:PACKAGE, what results are checked with and what receives studies
DEBIAN_PACKAGES := dciodvfy:dicom3tools storescu:dcmtk Orthanc:orthanc \
  $(ORTHANC_PLUGINS)/libOrthancPython.so:orthanc-python $(ORTHANC_PLUGINS)/libOrthancDicomWeb.so:orthanc-dicomweb \
  $(ORTHANC_PLUGINS)/libOrthancGdcm.so:orthanc-gdcm pdftotext:poppler-utils /usr/lib/postgresql:postgresql \
  /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf:fonts-droid-fallback

.PHONY: demo up with-models models test test-long test-networks map test-docker test-podman test-stack dcmjs test-browser test-orthanc test-orthanc-1.12 bench bench-hot-path bench-turnaround bench-container phantom-accuracy soak fuzz faults qc-cases check format lock clean
.DEFAULT_GOAL := demo

demo: $(VENV)/base.stamp ## run the app on a digital phantom, or on STUDY=FOLDER
	$(BIN)/python -m mapnode.demo $(if $(STUDY),"$(STUDY)")

up: $(VENV)/base.stamp ## run the node with mapnode.yaml until Ctrl-C
	$(BIN)/mapnode up

with-models: $(VENV)/models.stamp ## what apps with a network need: torch, MONAI, nnU-Net

models: $(VENV)/dev.stamp ## small networks of every format, trained on phantoms, in build/models; minutes
	rm -rf build/models
	$(BIN)/python -m tests.networks.nnunet_model build/models/nnunet --steps 500 --folds 0 1
	$(BIN)/python -m tests.networks.monai_models bundle build/models/monai-bundle --steps 600
	$(BIN)/python -m tests.networks.monai_models torchscript build/models/torchscript --steps 600

# Processes that share the cores must not each take all of them for their matrices.
test: export OPENBLAS_NUM_THREADS := 1
test: $(VENV)/dev.stamp ## every test that this machine can run, and the checks
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -rs
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m chain -rs
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "(orthanc or postgres) and not (slow or docker or browser)" -rs
	$(BIN)/python -m pytest -m "(slow or docker) and not (browser or long)" -rs --durations 20
	MAPNODE_TEST_ENGINE=podman $(BIN)/python -m pytest tests/mapnode/containers/test_runner.py -m docker -k "limits or privilege" -rs

test-long: $(VENV)/dev.stamp ## proofs that take minutes: a reference set of twenty scans, an image with a network, a small run of each benchmark of the node
	$(BIN)/python -m pytest -m long --timeout 3600 -rs

test-networks: $(VENV)/dev.stamp ## networks of every format, trained for minutes, find the tissues of a phantom
	$(BIN)/python -m pytest -m training --timeout 3600 -rs

dcmjs: ## dcmjs, which reads our SR in the tests; needs Node
	npm install --no-fund --no-audit --prefix build/dcmjs dcmjs@0.51.1

test-browser: $(VENV)/dev.stamp ## results in OHIF, headless; needs Chromium and npm; pictures in build/ohif
	scripts/debian-packages /usr/lib/chromium/chromium:chromium npm:npm
	$(BIN)/python -m pytest -m browser --timeout 3600 -rs

test-orthanc: $(VENV)/dev.stamp ## only the tests with a real Orthanc
	$(BIN)/python -m pytest -m orthanc -rs

test-orthanc-1.12: $(VENV)/dev.stamp ## the same with Orthanc 1.12 of Debian 13, in a chroot; needs root
	scripts/orthanc-1.12 --set-up
	MAPNODE_TEST_ORTHANC=$(CURDIR)/scripts/orthanc-1.12 $(BIN)/python -m pytest tests/test_node.py tests/mapnode/pacs -m orthanc -rs

test-docker: $(VENV)/dev.stamp ## only the tests with a container image; needs docker.io, debootstrap and root
	$(BIN)/python -m pytest -m "docker and not long" -rs

test-podman: $(VENV)/dev.stamp ## those of MAPs in the node, and of images, under Podman; needs podman, docker.io (its client), debootstrap, root; minutes
	scripts/debian-packages podman:podman docker:docker.io debootstrap:debootstrap
	MAPNODE_TEST_ENGINE=podman $(BIN)/python -m pytest tests/mapnode/containers tests/mapnode/package/test_image.py -m "docker and not orthanc" -rs

test-stack: $(VENV)/dev.stamp ## the stack of docker/, built and started; needs root, npm; minutes
	scripts/debian-packages docker:docker.io docker-compose:docker-compose debootstrap:debootstrap npm:npm
	$(BIN)/python -m pytest -m compose --timeout 3600 -rs

build/map/base-debian.tar: map-build/base-debian
	@mkdir -p $(@D)
	scripts/debian-packages debootstrap:debootstrap
	map-build/base-debian $@

map: $(VENV)/base.stamp build/map/base-debian.tar ## APP=ct_body_composition as a container image, TAG=name:version; a MAP
	$(BIN)/mapnode package $(APP) --tag $(or $(TAG),$(subst _,-,$(APP)):latest) --base-image build/map/base-debian.tar $(MAP)

bench: $(VENV)/dev.stamp ## loading, SEG writing, whole studies, container images: ours against the SDK, SimpleITK, dcm2niix, highdicom, scikit-image
	@mkdir -p build
	$(BIN)/python -m benchmarks.load
	$(BIN)/python -m benchmarks.segmentation
	$(BIN)/python -m benchmarks.tissue
	@if docker info >/dev/null 2>&1; then $(MAKE) --no-print-directory bench-container; \
	  else echo "no images measured: no Docker answers"; fi

bench-hot-path: $(VENV)/dev.stamp ## what a run in a warm worker costs besides its segmentation, operator by operator
	@mkdir -p build
	$(BIN)/python -m benchmarks.hot_path

bench-turnaround: $(VENV)/dev.stamp ## turnaround, intake and bursts of the node against a stock chain; BENCH="--rounds 1" and more
	@mkdir -p build
	$(BIN)/python -m benchmarks.turnaround $(BENCH)

bench-container: $(VENV)/dev.stamp build/map/base-debian.tar ## images of an app, with and without a network: size, rebuild, cold start; needs Docker; minutes
	$(BIN)/python -m benchmarks.container build/map/base-debian.tar

phantom-accuracy: $(VENV)/dev.stamp ## what the apps measure on 50 random phantoms each, clean and degraded, as docs/phantom-accuracy.md
	$(BIN)/python -m benchmarks.phantom_accuracy

soak: $(VENV)/dev.stamp ## twenty minutes of steady load: nothing grows, no study is lost; MINUTES=N takes N
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),20)

fuzz: $(VENV)/dev.stamp ## loading 100,000 mutated files; the seed is printed, FUZZ="--seed N" runs it again
	$(BIN)/python -m tests.fuzz $(FUZZ)

faults: $(VENV)/dev.stamp ## 50 random kills during 30 studies, Orthanc hanging, a full disk, the clock set back; FAULTS="kills --seed N" repeats
	$(BIN)/python -m tests.faults $(FAULTS)

qc-cases: $(VENV)/dev.stamp ## scans that fit and that do not through the whole apps, as docs/quality-cases.md; a quarter of an hour; QC="--draws N --fit N --seed N"
	$(BIN)/python -m tests.qc $(QC)

check: $(VENV)/dev.stamp ## format, lint, types, spelling
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/codespell --skip="$(VENV),build,*.lock,.git" --ignore-words-list=nd,ot,siz .

format: $(VENV)/dev.stamp
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: ## resolve requirements/*.lock anew (needs uv)
	uv pip compile pyproject.toml --override requirements/overrides.txt --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/base.lock
	uv pip compile pyproject.toml --extra models --override requirements/overrides.txt --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/models.lock
	uv pip compile pyproject.toml --extra models --extra dev --override requirements/overrides.txt --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/dev.lock
	echo "$(TORCH)" | uv pip compile - --override requirements/cuda-overrides.txt --python-version 3.11 \
	  --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  -o requirements/cuda.lock

clean:
	rm -rf build $(VENV)

# The programs that results are checked with; setup asks for them once and again when the list changes.
$(VENV)/system.stamp: Makefile scripts/debian-packages
	@scripts/debian-packages $(DEBIAN_PACKAGES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mapnode needs Python 3.11 or newer: make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

# torch before the rest, so that the build for a CPU is taken where one is offered; what else it asks for, the locks set right.
$(VENV)/torch.stamp: $(VENV)/system.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check "$(TORCH)"
	@touch $@

$(VENV)/dev.stamp $(VENV)/models.stamp: $(VENV)/torch.stamp

$(VENV)/%.stamp: requirements/%.lock pyproject.toml $(VENV)/system.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@ln -sf ../../nvidia/cu13/lib/libcudart.so.13 "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/holoscan/lib/"
	@touch $@
