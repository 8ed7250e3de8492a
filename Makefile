# On a fresh machine each of `make demo` and `make test` sets up what it needs, in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: demo test recipes check format benchmarks tables clean

demo: $(VENV)/demo.done
	$(BIN)/surgery plan efficientnet_lite0
	$(BIN)/surgery run efficientnet_lite0 -o efficientnet_lite0.safetensors --force
	$(BIN)/python docs/demo.py efficientnet_lite0.safetensors

test: $(VENV)/test.done
	$(BIN)/python -m pytest -n 2

# every shipped recipe, beside the libraries that it is about
LIBRARIES = open_clip peft segment_anything timm torch torchaudio torchvision transformers whisper

recipes: $(VENV)/test.done
	$(BIN)/surgery test recipes/ --strict -j 2 $(LIBRARIES:%=--allow import:%)

check: $(VENV)/dev.done $(VENV)/test.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2

# the parser's tables, after the grammar was edited
tables: $(VENV)/test.done
	$(BIN)/python -c "from surgery.lang.tables import build_tables; print(build_tables(), end='')" > grammars/tables.new
	mv grammars/tables.new grammars/tables.json

format: $(VENV)/dev.done
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

benchmarks: $(VENV)/test.done
	$(BIN)/python -m benchmarks

# the environment with an extra of pyproject.toml: demo, test or dev
$(VENV)/%.done: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
