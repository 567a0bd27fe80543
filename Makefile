# Two commands do everything: `make run` and `make test`. Both set up what is missing first.
PYTHON ?= auto
VENV   := .venv
BIN    := $(VENV)/bin
CONFIG ?= config
STAMP  := $(VENV)/.ready
MEASURES := $(VENV)/.measures

.PHONY: run test search check setup bench lock fmt clean unit tools

# What is compiled is kept: test modules, whose assertions are rewritten, are loaded by several processes, and the switch is
# started some hundred times.
test check unit search bench: export PYTHONDONTWRITEBYTECODE :=

run: $(STAMP)
	@exec $(BIN)/softswitch serve --config $(CONFIG)

test: setup tools $(MEASURES)
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -q -n auto --dist worksteal tests/property tests/fuzz tests/theory tests/virtual tests/process
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations=10 -m alongside tests/interop
	$(BIN)/python -m pytest --durations=10 -m "not alongside" tests/interop

# Property tests, with other examples each time; IN=tests/property/test_acd.py is one file of them.
IN ?= tests/property tests/fuzz
search: $(STAMP)
	$(BIN)/python -m pytest -q -n auto --dist worksteal --hypothesis-profile=search $(IN)

# Fast checks.
check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n auto --dist worksteal tests/unit

unit: $(STAMP)
	$(BIN)/python -m pytest -q tests/unit

bench: setup tools $(MEASURES)
	$(BIN)/python -m tests.bench

setup: $(STAMP)

# The Debian packages that the interop tests and benchmarks drive the switch with.
tools:
	@sh tests/install_tools.sh

$(STAMP): pyproject.toml requirements.lock
	@sh tests/make_venv.sh $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -qqq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@# The media engine's loops are compiled when they are first imported (rtp/compiled.py): here, and not at the start.
	@$(BIN)/python -c "import media.engine"
	@touch $@

# What only measurements of speech quality need, and has to be compiled.
$(MEASURES): $(STAMP) tests/requirements.lock | tools
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/requirements.lock
	@touch $@

lock: $(STAMP)
	$(BIN)/pip-compile --quiet --extra dev --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml

fmt: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage *.egg-info
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +
