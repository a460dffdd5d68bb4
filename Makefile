# make demo            the shipped photograph and a drawn presenter speak, or IMAGE=... with AUDIO=...
# make test            the tests, in an environment of its own; make lint: style and types
# make test-slow       what takes minutes: a long reel of raw footage, many kills, several processes
# make presenter       train the shipped model from nothing, on a CPU; SPEECH=... adds aligned natural speech
# make classifiers     both classifiers of the shipped model from nothing: clips, negatives, training
# make tables          Tables 1, 2, 3, 5, 6 and 7 of the paper by the model with these classifiers, without pictures
# make table-1-videos  Table 1 on rendered videos of drawn people
# make par-pairs       short trainings with and without PAR for Table 3
# make guidance-sweep  strengths of guidance on other people, to choose SCALES from
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

.PHONY: demo test test-slow lint presenter presenter-report classifiers par-pairs tables table-1-videos guidance-sweep guidance clean
demo: $(VENV)/core
	@mkdir -p $(dir $(OUT))
ifdef IMAGE
	$(BIN)/paha animate "$(IMAGE)" "$(or $(AUDIO),$(DEMO)/astronaut_speech.ogg)" -o "$(OUT)" --contact-sheet
else
	$(BIN)/paha animate $(DEMO)/astronaut.png $(DEMO)/astronaut_speech.ogg -o "$(OUT)" --size 512 --contact-sheet
	$(BIN)/paha animate $(DEMO)/rosa.png $(DEMO)/rosa_speech.ogg -o "$(basename $(OUT))_drawn.mp4" --size 512 --contact-sheet
endif

test: $(VENV)/dev
	$(BIN)/python -m slipcover --source paha --json --out .coverage -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal
	$(BIN)/python -m slipcover --merge .coverage --out .coverage --skip-covered --fail-under 95

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
	for i in 1 2; do $(BIN)/paha train lip-reader --set train.seed=$$i --out $(WORK)/lip_reader_$$i $(if $(SPEECH),--speech "$(SPEECH)") || exit; done
	$(BIN)/paha train univdm --preset presenter --set audio.name=$(WORK)/acoustic_model/model --out $(WORK)/univdm \
	  $(if $(SPEECH),--speech "$(SPEECH)")
	$(if $(STILLS),$(BIN)/paha train keypoint-estimator --stills "$(STILLS)" --out $(WORK)/keypoint_estimator)
	$(BIN)/python -m paha.training.univdm.ship --univdm $(WORK)/univdm --lip-reader $(WORK)/lip_reader_1 --lip-reader $(WORK)/lip_reader_2 \
	  $(if $(STILLS),--keypoint-estimator $(WORK)/keypoint_estimator)

presenter-report: $(VENV)/dev
	$(BIN)/python -m experiments.presenter.report --stills "$(or $(STILLS),../shared/stills)" --media "$(MEDIA)" \
	  --speech "$(or $(SPEECH),../shared/speech)" --out out/presenter_report

# Section 5 of the paper on motion latents (docs/results.md says how long). Every step goes on where it was stopped.
# PAIRS, NEGATIVE_STEPS, NEGATIVE_LENGTHS: of the negatives; the paper's are 50000, 30 and 30,60,90,120. SHARES: of hard
# negatives that are tried, HARD_FACE and HARD_NON_FACE those that are shipped (0 is the paper). SCALES: of guidance.
SHIPPED = paha/assets/presenter
GUIDED ?= $(WORK)/guided
BY = $(or $(wildcard $(GUIDED)),$(SHIPPED))
PAIRS  ?= 600
NEGATIVE_STEPS   ?= 6
NEGATIVE_LENGTHS ?= 30,60
SHARES ?= 0 0.3 0.7 1
HARD_FACE     ?= 0.7
HARD_NON_FACE ?= 1
SCALES ?= 4,1,0.25
PEOPLE ?= 24
VOICES  = $(if $(SPEECH),--speech "$(SPEECH)")
CLASSIFIER = $(BIN)/paha train classifier --data $(WORK)/pce/clips --split all --model $(SHIPPED) \
  --negatives $(WORK)/pce/negatives --report-clips 16 --set probe_pairs=0 --set pairs.lengths=[30]
classifiers: $(VENV)/dev
	$(BIN)/paha synth $(WORK)/pce/clips --motion-latents --clips 768 --seconds 6 6 --seed 1 $(VOICES)
	$(BIN)/paha negatives --data $(WORK)/pce/clips --split all --model $(SHIPPED) --out $(WORK)/pce/negatives \
	  --count $(PAIRS) --steps $(NEGATIVE_STEPS) --lengths $(NEGATIVE_LENGTHS) --batch-size 16
	for region in face non_face; do runs=$(WORK)/pce/$$region; test $$region = face && steps=300 batch=24 || steps=200 batch=12; \
	  test -f $$runs/pretrained/report/report.json || $(CLASSIFIER) --region $$region --hard-negatives 1 --steps 100 --set train.batch_size=$$batch \
	    --set sync_pretraining_steps=$$steps --out $$runs/pretrained || exit 1; \
	  for share in $(SHARES); do \
	    test "$$share" = 0 && init= || init="--init $$runs/pretrained/model"; \
	    test -f $$runs/share_$$share/report/report.json || \
	      $(CLASSIFIER) --region $$region --hard-negatives $$share --steps $$steps --set train.batch_size=$$batch $$init --out $$runs/share_$$share || exit 1; done; done
	$(BIN)/python -m experiments.guidance.shares_report $(foreach r,face non_face,$(SHARES:%=$(WORK)/pce/$(r)/share_%))
	mkdir -p $(GUIDED)/classifier_face $(GUIDED)/classifier_non_face && cp -r $(SHIPPED)/. $(GUIDED)
	cp -r $(WORK)/pce/face/share_$(HARD_FACE)/model/. $(GUIDED)/classifier_face
	cp -r $(WORK)/pce/non_face/share_$(HARD_NON_FACE)/model/. $(GUIDED)/classifier_non_face

$(WORK)/pce/lips_instrument/instrument.json: | $(VENV)/dev
	$(BIN)/python -m experiments.guidance.sync_instrument --out $(WORK)/pce/lips_instrument $(VOICES)

GUIDANCE = $(BIN)/python -m experiments.guidance.motion_guidance --model $(BY) --instrument $(WORK)/pce/lips_instrument $(VOICES)
# Strengths on people of their own: each region alone. Read out/guidance_sweep/report.md, then give SCALES.
guidance-sweep: $(WORK)/pce/lips_instrument/instrument.json
	$(GUIDANCE) --out out/guidance_sweep --seed 660000 --people 12 --segments 3 --steps 10 --scales 0,0,0.25 \
	  --settings none,sg/face=1/skip_first=true,sg/face=3/skip_first=true,sg/face=10/skip_first=true,sg/nf=3/skip_first=true,sg/nf=10/skip_first=true

# Both leave the step from pure noise alone: a push there moves everything (docs/log.md).
# The paper's noise is white, and its lips are sampled; the presenter's noise, of the second run, is shaped.
# With the classifiers of `make classifiers`, where it was run, else the shipped ones.
$(WORK)/guided_white/paha.yaml: $(wildcard $(GUIDED)/paha.yaml)
	mkdir -p $(WORK)/guided_white && cp -r $(BY)/. $(WORK)/guided_white
	sed -i.bak -e 's/lip_noise: .*/lip_noise: 1.0/' -e 's/shift_noise: .*/shift_noise: 1.0/' \
	  -e 's/heard_lips: .*/heard_lips: 0.0/' -e 's/blinks: .*/blinks: false/' $(WORK)/guided_white/paha.yaml

guidance: $(WORK)/pce/lips_instrument/instrument.json $(WORK)/guided_white/paha.yaml
	$(GUIDANCE) --model $(WORK)/guided_white --out out/guidance --people 40 --segments 2 --scales $(SCALES) \
	  --settings none,sg/nf=0/skip_first=true,sg/face=0/skip_first=true,sg/skip_first=true,sg/skip_first=true/reuse=3,sg/skip_first=true/reuse=4,dg/skip_first=true,dg/skip_first=true/reuse=5
	$(GUIDANCE) --out out/guidance_demo --people 40 --segments 2 --steps 2 --cfg-scale 1.4 --scales $(SCALES) \
	  --settings none,sg/nf=0/rate=1/skip_first=true,sg/face=0/rate=1/skip_first=true,sg/rate=1/skip_first=true,dg/rate=1/skip_first=true

# Short trainings with and without PAR, three seeds each, from the same weights: Table 3.
PAR_STEPS ?= 150
par-pairs: $(VENV)/dev
	for seed in 0 1 2; do for kind in with without; do test $$kind = with && plain= || plain=--no-par; \
	  $(BIN)/paha train univdm --init $(SHIPPED) --steps $(PAR_STEPS) --set audio.name=$(SHIPPED)/audio_encoder \
	    --set train.seed=$$seed --set train.sample_every=0 $$plain --out $(WORK)/par/$${kind}_$$seed $(VOICES) || exit 1; done; done

# All tables and figures without pictures of people, then Table 1 again on videos, read by MediaPipe where it is at hand.
CLIPS ?= 24
comma := ,
par_pair = $(if $(wildcard $(WORK)/par/without_$(1)/model),--par-pair $(WORK)/par/with_$(1)/model$(comma)$(WORK)/par/without_$(1)/model)
PAPER = $(BIN)/python -m experiments.paper.run --out out/tables --model $(WORK)/guided_white --instrument $(WORK)/pce/lips_instrument \
  --scales $(SCALES) --skip-first --people $(PEOPLE) --segments 2 --steps 30 $(VOICES)
tables: $(WORK)/pce/lips_instrument/instrument.json $(WORK)/guided_white/paha.yaml
	$(PAPER) 1 2 3 5 6 7 $(foreach seed,0 1 2,$(call par_pair,$(seed)))
	$(BIN)/python -m experiments.paper.figures --out out/tables --model $(WORK)/guided_white --scales $(SCALES) --segments 2 $(VOICES)

table-1-videos: $(VENV)/dev
	$(BIN)/paha synth $(WORK)/tables_data --clips $(CLIPS) --seed 900000 --size 256 --seconds 4 5
	$(BIN)/paha tables 1 --data $(WORK)/tables_data --split all --clips $(CLIPS) --model $(BY) --guidance-scales $(SCALES) --out out/table_1_videos

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
