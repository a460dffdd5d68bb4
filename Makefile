# make demo       a video from a shipped image and recording, or from IMAGE=... AUDIO=...
# make test       the tests, in an environment of its own; make lint: style and types
# make test-slow  what takes minutes: a long reel of raw footage, many kills, several processes
# make presenter  train the shipped model from nothing; make presenter-report: how good it is
PYTHON ?= python3
VENV   ?= .venv
IMAGE  ?= paha/assets/presenter_images/amara.png
AUDIO  ?= paha/assets/presenter_images/speech.wav
OUT    ?= out/demo.mp4
# Two busy processes with spinning OpenMP threads run ten times slower than with sleeping ones.
export OMP_WAIT_POLICY = PASSIVE

BIN = $(VENV)/bin

.PHONY: demo test test-slow lint presenter presenter-report clean
demo: $(VENV)/core
	@mkdir -p $(dir $(OUT))
	$(BIN)/paha animate "$(IMAGE)" "$(AUDIO)" -o "$(OUT)" --contact-sheet

test: $(VENV)/dev
	$(BIN)/python -m pytest --cov=paha --cov-report=term --cov-fail-under=85

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow --durations=10

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright paha

# Everything from nothing but this repository; each line resumes where it was stopped.
WORK ?= work
presenter: $(VENV)/dev
	$(BIN)/paha synth $(WORK)/corpus --clips 800 --seconds 3 5
	$(BIN)/paha train codec --data $(WORK)/corpus --out $(WORK)/codec
	$(BIN)/paha train pose-reader --data $(WORK)/corpus --codec $(WORK)/codec/model --out $(WORK)/pose_reader
	$(BIN)/paha train univdm --data $(WORK)/corpus --codec $(WORK)/codec/model --out $(WORK)/univdm
	$(BIN)/python -m paha.training.ship --univdm $(WORK)/univdm --pose-reader $(WORK)/pose_reader --data $(WORK)/corpus

# 40 held-out people at the demo's settings; goes on where it was stopped. REPORT="--device cuda --workers 1 ..." adds options.
PHOTO ?= ../shared/media/stills/astronaut.png
presenter-report: $(VENV)/dev
	$(BIN)/paha synth $(WORK)/heldout --clips 40 --seed 900000 --seconds 3 5
	$(BIN)/python -m benchmarks.presenter_report report --data $(WORK)/heldout $(if $(wildcard $(PHOTO)),--photo $(PHOTO)) $(REPORT)

$(VENV)/core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) out
