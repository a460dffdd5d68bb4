# make demo            the shipped photograph and a drawn presenter speak, or IMAGE=... with AUDIO=...
# make test            the tests, in an environment of its own; make lint: style and types
# make test-slow       what takes minutes: a long reel of raw footage, many kills, several processes
# make presenter       train the shipped model from nothing, on a CPU; SPEECH=... adds aligned natural speech
# make classifiers     both classifiers of the shipped model from nothing: clips, negatives, training (hours on a CPU)
# make tables          Tables 1, 2, 3, 5, 6 and 7 of the paper by the model with these classifiers (hours: docs/results.md)
# make guidance        SG, DG and each region alone against no guidance on people of the rig, without pictures
# make presenter-report  how good it is, with pictures (needs photographs: STILLS=..., MEDIA=..., SPEECH=...)
PYTHON ?= python3
VENV   ?= .venv
OUT    ?= out/demo.mp4
DEMO    = paha/assets/presenter_images
# Two busy processes with spinning OpenMP threads run ten times slower than with sleeping ones.
export OMP_WAIT_POLICY = PASSIVE
# The tests start some thirty processes of their own: let them find the package compiled.
export PYTHONDONTWRITEBYTECODE =

BIN = $(VENV)/bin

.PHONY: demo test test-slow lint presenter presenter-report classifiers tables guidance clean
demo: $(VENV)/core
	@mkdir -p $(dir $(OUT))
ifdef IMAGE
	$(BIN)/paha animate "$(IMAGE)" "$(or $(AUDIO),$(DEMO)/astronaut_speech.ogg)" -o "$(OUT)" --contact-sheet
else
	$(BIN)/paha animate $(DEMO)/astronaut.png $(DEMO)/astronaut_speech.ogg -o "$(OUT)" --size 512 --contact-sheet
	$(BIN)/paha animate $(DEMO)/rosa.png $(DEMO)/rosa_speech.ogg -o "$(basename $(OUT))_drawn.mp4" --size 512 --contact-sheet
endif

test: $(VENV)/dev
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal --cov=paha --cov-report=term --cov-fail-under=95

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow --durations=10

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# From nothing but this repository, in slices that resume (docs/results.md says how long it took); the keypoint estimator
# needs photographs, STILLS=...
WORK   ?= work
SPEECH ?=
STILLS ?=
MEDIA  ?= ../shared/media
presenter: $(VENV)/dev
	$(BIN)/paha train acoustic-model --out $(WORK)/acoustic_model $(if $(SPEECH),--speech "$(SPEECH)")
	$(BIN)/paha train univdm --preset presenter --set audio.name=$(WORK)/acoustic_model/model --out $(WORK)/univdm \
	  $(if $(SPEECH),--speech "$(SPEECH)")
	$(if $(STILLS),$(BIN)/paha train keypoint-estimator --stills "$(STILLS)" --out $(WORK)/keypoint_estimator)
	$(BIN)/python -m paha.training.univdm.ship --univdm $(WORK)/univdm $(if $(STILLS),--keypoint-estimator $(WORK)/keypoint_estimator)

presenter-report: $(VENV)/dev
	$(BIN)/python -m experiments.presenter.report --stills "$(or $(STILLS),../shared/stills)" --media "$(MEDIA)" \
	  --speech "$(or $(SPEECH),../shared/speech)" --out out/presenter_report

# Section 5 of the paper on motion latents. HARD: share of hard negatives (0 is the paper). CLIPS: of the tables' test set.
SHIPPED = paha/assets/presenter
GUIDED ?= $(WORK)/guided
PAIRS  ?= 2000
HARD   ?= 0.7
CLIPS  ?= 40
classifiers: $(VENV)/dev
	$(BIN)/paha synth $(WORK)/pce/clips --motion-latents --clips 1024 --seconds 6 6 --seed 1 $(if $(SPEECH),--speech "$(SPEECH)")
	$(BIN)/paha negatives --data $(WORK)/pce/clips --split all --model $(SHIPPED) --out $(WORK)/pce/negatives --count $(PAIRS) --batch-size 16
	mkdir -p $(GUIDED)/classifier_face $(GUIDED)/classifier_non_face && cp -r $(SHIPPED)/. $(GUIDED)
	for region in face non_face; do \
	  $(BIN)/paha train classifier --region $$region --data $(WORK)/pce/clips --split all --model $(SHIPPED) \
	    --negatives $(WORK)/pce/negatives --hard-negatives $(HARD) --set sync_pretraining_steps=300 --out $(WORK)/pce/$$region && \
	  cp -r $(WORK)/pce/$$region/model/. $(GUIDED)/classifier_$$region || exit 1; done

tables: $(VENV)/dev
	$(BIN)/paha synth $(WORK)/tables_data --clips $(CLIPS) --seed 900000 --size 256 --seconds 4 6
	for number in 1 2 3 5 6 7; do \
	  $(BIN)/paha tables $$number --data $(WORK)/tables_data --split all --clips $(CLIPS) --model $(GUIDED) --steps 30 --out out/tables || exit 1; done

guidance: $(VENV)/dev
	$(BIN)/python -m experiments.guidance.sync_instrument --out $(WORK)/pce/lips_instrument $(if $(SPEECH),--speech "$(SPEECH)")
	$(BIN)/python -m experiments.guidance.motion_guidance --model $(GUIDED) --instrument $(WORK)/pce/lips_instrument --out out/guidance \
	  --people $(CLIPS) $(if $(SPEECH),--speech "$(SPEECH)")

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
