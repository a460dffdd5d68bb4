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

# Everything from nothing but this repository; each line resumes where it was stopped. UniVDM in two parts: crops about faces and hands
# first, then whole frames (80 s and 200 s of an H200). Without a GPU: make presenter BATCH=2 PRECISION=no, and days.
WORK ?= work
BATCH ?= 32
PRECISION ?= bf16
UNIVDM = $(BIN)/paha train univdm --data $(WORK)/corpus --codec $(WORK)/codec/model --set train.crop_fade=true --set train.crop_face_share=0.8
LARGE = --set train.batch_size=$(BATCH) --set train.mixed_precision=$(PRECISION)
# The corpus's own, measured by the first part: the second must speak of the same z_0.
RESIDUAL_STD = $$(awk '/residual_std/ {print $$2}' $(WORK)/univdm_1/model/paha.yaml)
# The classifiers: pretraining, then real clips against the same with sound out of step (25 and 40 minutes of one core).
CLASSIFIER = $(BIN)/paha train classifier --data $(WORK)/corpus --model $(WORK)/univdm_2/model --hard-negatives 1 \
  --set network.frame_similarity=true --set network.audio_free_encoder=true --set "pairs.lengths=[32]" --set probe_pairs=64 \
  --set train.warmup_steps=10 --set train.ema_decay=0.98
presenter: $(VENV)/dev
	$(BIN)/paha synth $(WORK)/corpus --clips 1192 --seconds 3 5
	$(BIN)/paha train codec --data $(WORK)/corpus --out $(WORK)/codec --steps 2000
	$(BIN)/paha train pose-reader --data $(WORK)/corpus --codec $(WORK)/codec/model --out $(WORK)/pose_reader
	$(UNIVDM) --out $(WORK)/univdm_1 $(LARGE) --set num_frames=16 --set train.crop_fade=false --set train.crop_share=0.75 \
	  --set train.audio_pretraining_steps=2500 --set train.cosine_decay=false --set train.warmup_steps=200 --set train.ema_decay=0.995 --steps 522
	$(UNIVDM) --out $(WORK)/univdm_2 $(LARGE) --init $(WORK)/univdm_1/model --set diffusion.residual_std=$(RESIDUAL_STD) \
	  --set train.crop_share=0.6 --set train.learning_rate=1.5e-3 --set train.ema_decay=0.999 --steps 1086
	$(CLASSIFIER) --region face --out $(WORK)/classifier_face --set sync_pretraining_steps=300 --set train.batch_size=32 \
	  --set train.learning_rate=8e-4 --set train.sample_every=100 --steps 200
	$(CLASSIFIER) --region non_face --out $(WORK)/classifier_non_face --set sync_pretraining_steps=340 --set train.batch_size=24 \
	  --set train.learning_rate=1e-3 --set train.sample_every=60 --steps 120
	$(BIN)/python -m paha.training.motion.ship --univdm $(WORK)/univdm_1 --univdm $(WORK)/univdm_2 --pose-reader $(WORK)/pose_reader \
	  --data $(WORK)/corpus --classifier $(WORK)/classifier_face --classifier $(WORK)/classifier_non_face

# Photographs and speech that are not part of the project; without them it says what it skips. REPORT_OPTIONS=--quick: six people.
SHARED ?= ../shared
REPORT_OPTIONS ?=
presenter-report: $(VENV)/dev
	$(BIN)/python -m experiments.presenter.report --stills $(SHARED)/stills --media $(SHARED)/media --speech $(SHARED)/speech \
	  --out out/presenter_report $(REPORT_OPTIONS)

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
