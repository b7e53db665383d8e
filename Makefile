# ringlane: `make demo` runs the main job, `make test` the tests. Both set up what they need.

PYTHON ?= python3.11
TARGET ?= virtual
# Another MicroPython (unix port) than the one that setup installs, as one with a GIL.
MICROPYTHON ?=
export RINGLANE_MICROPYTHON = $(MICROPYTHON)
# A folder of firmwares, RPI_PICO.uf2 and those for QEMU (host_tests/processors/qemu.py), for test.
FIRMWARE ?=
UF2 ?= $(wildcard $(addsuffix /RPI_PICO.uf2,$(FIRMWARE)))
SPEED ?=
# What firmware is checked against: a port's modules, of micropython-stubs.
STUBS_OF := rp2 esp32
STUBS := 1.29.0.post1
# pip install basedpyright brings one, and node; where there is none, types runs mypy alone.
PYRIGHT ?= $(firstword $(wildcard .venv/bin/basedpyright) $(shell command -v basedpyright pyright))
BIN := .venv/bin
READY := .venv/.ready

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "demo and bench take TARGET=virtual (default), TARGET=rp2040 UF2=firmware.uf2, or a"
	@echo "board's port as TARGET=/dev/ttyACM0. test, soak, size, profile and board take UF2=firmware.uf2,"
	@echo "an emulated RP2040."
	@echo "test takes FIRMWARE=folder, too: that file and MicroPython's for QEMU, each under its name."
	@echo "demo, test, bench, soak and fleet take MICROPYTHON=path, another unix port of it, as one"
	@echo "that is built with a GIL."

setup: $(READY) ## Create .venv with the pinned packages

demo: $(READY) ## A heart signal from an interrupt to tasks [SPEED= SECONDS= WATCHED=1]
	$(BIN)/python firmware/heart/run.py --target $(TARGET) $(if $(UF2),--uf2 $(UF2)) \
	    $(if $(SPEED),--speed $(SPEED)) $(if $(SECONDS),--seconds $(SECONDS)) \
	    $(if $(WATCHED),--watched)

# Where one of the processes is killed, that fails the run: with another in its place xdist may
# wait for ever.
test: $(READY) ## Every test
	RINGLANE_UF2="$(UF2)" RINGLANE_FIRMWARE="$(FIRMWARE)" $(BIN)/pytest -n auto --dist loadfile \
	    --max-worker-restart 0

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy finds no package through an editable install of several folders, so it is told where.
types: export PYTHONPATH = $(abspath lib)
types: $(READY) ## mypy, and a pyright that is there: the stubs, the host part, the firmware
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest ringlane --concise --mypy-config-file pyproject.toml \
	    --allowlist host_tests/engine/stubtest_allowlist.txt
	@# A board's stubs replace typeshed, so they need a folder without CPython's packages.
	@# misc: firmware that also runs on CPython may define const() twice. The programs of README are
	@# projects with its pyproject.toml; one with a str for a word must not pass.
	$(BIN)/python host_tests/readme.py build/readme
	for port in $(STUBS_OF); do \
	    stubs=build/stubs-$$port; \
	    [ $$stubs -nt $(READY) ] || { $(BIN)/pip install --quiet --disable-pip-version-check \
	        --upgrade --target $$stubs micropython-$$port-stubs==$(STUBS) && touch $$stubs; } \
	        || exit 1; \
	    for folder in firmware/heart firmware/examples; do \
	        MYPYPATH=$$stubs:$$folder $(BIN)/mypy --custom-typeshed-dir $$stubs \
	            --cache-dir .mypy_cache/$$port --follow-imports silent \
	            --disable-error-code misc $$folder || exit 1; \
	    done; \
	    for project in $$port wrong_$$port; do \
	        ln -sfn ../../stubs-$$port build/readme/$$project/typings; \
	    done; \
	    mypy="$(abspath $(BIN))/mypy --cache-dir $(abspath .mypy_cache)/readme_$$port"; \
	    (cd build/readme/$$port && $$mypy readme_*.py) || exit 1; \
	    (cd build/readme/wrong_$$port && $$mypy readme_0.py) | grep -q arg-type || exit 1; \
	    [ -n "$(PYRIGHT)" ] || continue; \
	    (cd build/readme/$$port && $(PYRIGHT) --level error readme_*.py) || exit 1; \
	    (cd build/readme/wrong_$$port && $(PYRIGHT) --level error readme_0.py) \
	        | grep -q reportArgumentType || exit 1; \
	done

# PYTHONPATH: the engine of this tree, whatever is installed.
stamp: $(READY) ## Write what is generated: the engine's words and steps, the files for mip
	cd lib && PYTHONPATH=. $(abspath $(BIN))/cog -r -P --verbosity=1 --markers="#: :# stamped." \
	    -p "from ringlane_host.engine import direct, facts, step, words" \
	    ringlane/*.py ../host_tests/device/*_scenarios.py
	PYTHONPATH=lib $(BIN)/python -m ringlane_host.package
	$(BIN)/ruff format --quiet lib/ringlane host_tests/device/*_scenarios.py

bench: $(READY) ## Against what you would write instead
	$(BIN)/python firmware/bench/run.py --target $(TARGET) $(if $(UF2),--uf2 $(UF2))

size: $(READY) ## .mpy, and with UF2= RAM, by module, by pattern and per channel
	$(BIN)/python firmware/bench/size.py $(if $(UF2),--uf2 $(UF2))

profile: $(READY) ## Cycles by step of the hot verbs, on the emulated RP2040: UF2= [BYTES=16 TAPS=1]
	$(BIN)/python firmware/bench/profile.py --uf2 "$(UF2)" $(if $(BYTES),--size $(BYTES)) \
	    $(if $(TAPS),--taps)

soak: $(READY) ## Long sweeps, 100 million messages between threads, and some of the mutants
	RINGLANE_UF2="$(UF2)" $(BIN)/python host_tests/soak.py

fleet: $(READY) ## Many boards to one MQTT broker, with losses [BOARDS= SECONDS= RATE=]
	$(BIN)/python host_tests/mqtt/fleet.py $(if $(BOARDS),--boards $(BOARDS)) \
	    $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RATE),--rate $(RATE))

board: $(READY) ## Start a virtual board and print its port; with UF2= an emulated Pico
	$(BIN)/python -m ringlane_host.command.cli board $(if $(UF2),--uf2 $(UF2))

clean: ## Remove .venv and everything built
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis lib/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.PHONY: help setup demo test lint types stamp bench size profile soak fleet board clean
