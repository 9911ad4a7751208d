"""Students that start from a larger encoder, their training on its vectors, and the presets that they become."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgedistil.builder import build_backbone
from edgedistil.cli import main as edgedistil
from edgedistil.distillation.sentence_training import SentenceTrainer, TeacherVectors, sentence_vectors
from edgedistil.distillation.students import principal_directions, student_basis, student_from
from edgedistil.distillation.words import continuation_pieces, mean_by_word, word_numbers
from edgedistil.presets import bundled_preset_path, download, list_presets, registry
from edgedistil.presets.int8_encoder import write_encoder
from edgedistil.presets.loading import load_classifier
from edgedistil.presets.pooling import pools_by_mean
from edgedistil.sizes import BackboneSize
from edgedistil.training.batches import TokenizedTexts, tokenize
from edgedistil_converters.model.hugging_face_tokenizer import HuggingFacePreprocessor, HuggingFaceTokenizer
from edgedistil_runtime.errors import PresetError

pytestmark = pytest.mark.training

PIECES = 60
SIZE = BackboneSize(3, 32, 4, 64)
SCRIPT = Path(__file__).parents[2] / "tools" / "distil_students.py"


@pytest.fixture(scope="module")
def teacher():
    """A random backbone whose hidden states vary in few directions, as those of a trained one do, and in which every
    part matters."""
    backbone = build_backbone(SIZE, vocabulary_size=PIECES, max_sequence_length=20)
    generator = np.random.default_rng(3)
    for variable in backbone.weights:
        variable.assign_add(generator.normal(0, 0.1, variable.shape))
    table = generator.normal(0, 0.5, (PIECES, 8)) @ generator.normal(0, 0.5, (8, 32))
    backbone.token_embedding.embeddings.assign(table)
    return backbone


@pytest.fixture(scope="module")
def sample():
    generator = np.random.default_rng(4)
    lengths = generator.integers(4, 12, 96)
    mask = (np.arange(12) < lengths[:, None]).astype("int32")
    return TokenizedTexts(generator.integers(5, PIECES, (96, 12)).astype("int32") * mask, mask, lengths)


def test_student_of_the_same_size_is_its_teacher(teacher, sample):
    student = student_from(teacher, SIZE, np.arange(PIECES), texts=sample)
    for variable, copied in zip(teacher.weights, student.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), np.asarray(copied), err_msg=variable.path)


def test_fewer_pieces_are_the_rows_of_the_teacher(teacher, sample):
    pieces = np.arange(0, PIECES, 2)
    student = student_from(teacher, SIZE, pieces, texts=sample, max_sequence_length=15)
    table = np.asarray(teacher.token_embedding.embeddings)
    np.testing.assert_array_equal(np.asarray(student.token_embedding.embeddings), table[pieces])
    assert (student.vocabulary_size, student.max_sequence_length) == (PIECES // 2, 15)


@pytest.mark.parametrize(
    "size",
    [BackboneSize(2, 16, 2, 32), BackboneSize(3, 24, 3, 48), BackboneSize(3, 32, 2, 64).with_numbers(num_heads=4)],
)
def test_smaller_student_resembles_its_teacher(teacher, sample, size):
    student = student_from(teacher, size, np.arange(PIECES), texts=sample)
    other = build_backbone(size, vocabulary_size=PIECES, max_sequence_length=20)

    def correlation(backbone):
        pairs = np.triu_indices(len(sample), 1)
        own, wanted = sentence_vectors(backbone, sample), sentence_vectors(teacher, sample)
        return np.corrcoef((own @ own.T)[pairs], (wanted @ wanted.T)[pairs])[0, 1]

    assert np.isfinite(sentence_vectors(student, sample)).all()
    assert correlation(student) > max(0.5, correlation(other) + 0.1)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (BackboneSize(4, 32, 4, 64), "num_layers up to 3. Received: num_layers=4"),
        (BackboneSize(2, 16, 4, 32), r"8 \* num_heads \(num_heads=2\). Received: hidden_dim=16, num_heads=4"),
    ],
)
def test_sizes_that_no_student_has(teacher, size, message):
    with pytest.raises(PresetError, match=message):
        student_from(teacher, size, np.arange(PIECES))


def test_words_with_other_pieces_get_the_same_numbers():
    ids = np.array([[2, 5, 6, 7, 3, 0]])
    whole = TokenizedTexts(np.array([[2, 5, 8, 3, 0, 0]]), np.array([[1, 1, 1, 1, 0, 0]]), np.array([4]))
    parts = TokenizedTexts(ids, (ids > 0).astype("int32"), np.array([5]))
    is_continuation = continuation_pieces(["", "", "[CLS]", "[SEP]", "", "turn", "light", "##s", "lights"])
    assert word_numbers(whole, is_continuation).tolist() == [[0, 1, 2, 3, -1, -1]]
    assert word_numbers(parts, is_continuation).tolist() == [[0, 1, 2, 2, 3, -1]]
    hidden = np.arange(6, dtype="float32").reshape(1, 6, 1)
    vectors, counts = mean_by_word(hidden, word_numbers(parts, is_continuation))
    assert (vectors[:, 0].tolist(), counts.tolist()) == ([0.0, 1.0, 2.5, 4.0], [4])


# Training


def trainer_and_vectors(teacher, sample):
    directions = principal_directions(teacher, sample)
    size = BackboneSize(2, 16, 2, 32)
    basis = student_basis(directions, 16)
    student = student_from(teacher, size, np.arange(PIECES), texts=sample, directions=directions)
    sentences = sentence_vectors(teacher, sample).astype("float16")
    hidden = np.asarray(teacher({"token_ids": sample.token_ids, "padding_mask": sample.padding_mask}))
    is_token = sample.padding_mask > 0
    rows = np.where(is_token, np.cumsum(is_token).reshape(is_token.shape) - 1, -1).astype("int32")
    words = (hidden[is_token] @ directions).astype("float16")
    vectors = TeacherVectors(sample, sentences, words, rows)
    trainer = SentenceTrainer(
        student,
        basis=basis,
        turn=directions.T @ basis,
        word_variance=float(words.var(0).sum()),
        peak=5e-3,
        batch_size=20,
    )
    return trainer, vectors


def epochs(trainer, vectors, count):
    for _ in range(count):
        generator = np.random.default_rng(trainer.epoch)
        losses = trainer.train(vectors, generator, lambda now: now.texts / (8 * len(vectors.texts)))
        trainer.epoch += 1
    return losses


def test_training_lowers_every_loss_and_goes_on_after_a_break(teacher, sample, tmp_path):
    trainer, vectors = trainer_and_vectors(teacher, sample)
    vectors.save(tmp_path / "vectors.npz")
    vectors = TeacherVectors.load(tmp_path / "vectors.npz")
    first = epochs(trainer, vectors, 1)
    trainer.save(tmp_path / "state.npz")
    last = epochs(trainer, vectors, 5)
    assert all(last[name] < 0.8 * first[name] for name in ("sentences", "relations", "words")), (first, last)
    again, _ = trainer_and_vectors(teacher, sample)
    again.restore(tmp_path / "state.npz")
    assert (again.epoch, again.texts) == (1, 96)
    epochs(again, vectors, 5)
    for variable, other in zip(trainer.student.weights, again.student.weights, strict=True):
        np.testing.assert_allclose(np.asarray(variable), np.asarray(other), atol=1e-5)


# Presets


@pytest.fixture(scope="module")
def preprocessor(tiny_vocabulary):
    special = [{"content": token, "id": i, "is_piece": True} for i, token in enumerate(tiny_vocabulary[:5])]
    options = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer = HuggingFaceTokenizer(tiny_vocabulary, added_tokens=[{**token, **options} for token in special])
    return HuggingFacePreprocessor(tokenizer, sequence_length=16)


@pytest.fixture
def encoder(tmp_path, preprocessor, tiny_vocabulary):
    backbone = build_backbone(SIZE, vocabulary_size=len(tiny_vocabulary), max_sequence_length=16)
    page = "# Attribution of it\n\nTexts by Ada.\n"
    (tmp_path / "here").mkdir()
    directory = write_encoder(backbone, preprocessor, tmp_path / "here" / "edgedistil_small_en", attribution=page)
    return backbone, directory


def test_encoder_in_8_bits_is_read_again(encoder, preprocessor):
    backbone, directory = encoder
    loaded = load_classifier(directory, num_classes=2)
    texts = ["Turn the lights on", "is it raining?", "unheard [MASK]"]
    ids = tokenize(preprocessor, texts)
    np.testing.assert_array_equal(tokenize(loaded.preprocessor, texts).token_ids, ids.token_ids)
    for variable, read in zip(backbone.weights, loaded.backbone.weights, strict=True):
        values = np.asarray(variable)
        np.testing.assert_allclose(np.asarray(read), values, atol=np.abs(values).max() / 127 / 2 + 1e-7)
    cosines = (sentence_vectors(backbone, ids) * sentence_vectors(loaded.backbone, ids)).sum(1)
    assert cosines.min() > 0.999
    assert pools_by_mean(directory)
    weights = sum(int(np.prod(variable.shape)) for variable in backbone.weights)
    assert (directory / "model.safetensors").stat().st_size < 2 * weights + 10_000  # header and scales; 4 in float32


def test_bundled_encoder_is_listed_and_training_starts_from_it(encoder, tmp_path, csv_file, monkeypatch):
    backbone, directory = encoder
    monkeypatch.setattr(registry, "_HERE", directory.parent)
    [info] = [info for info in list_presets() if info.name == "edgedistil_small_en"]
    assert (info.source, info.parameters, info.has_trained_head) == ("bundled", backbone.count_params(), False)
    assert bundled_preset_path("edgedistil_small_en") == directory
    with pytest.raises(PresetError, match="missing"):
        bundled_preset_path("edgedistil_tiny_en")
    output = tmp_path / "trained"
    arguments = ["train", "--train-data", csv_file, "-o", output, "--epochs", 1, "--sequence-length", 12]

    def unreachable(*, load_weights):
        raise download.PresetUnreachable("no network")

    monkeypatch.setattr(download, "_locate_minilm", unreachable)
    done = CliRunner().invoke(edgedistil, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    assert "starts from edgedistil_small_en; --preset or --from-scratch" in done.stderr
    assert json.loads((output / "training.json").read_text())["origin"] == {"preset": "edgedistil_small_en"}
    assert (output / "ATTRIBUTION.md").read_text() == "# Attribution of it\n\nTexts by Ada.\n"
    assert "\n## Attribution of it\n\nTexts by Ada.\n" in (output / "README.md").read_text()
    assert load_classifier(output).backbone.num_layers == SIZE.num_layers + 1  # mean pooling


def test_texts_in_another_language_are_warned_about(encoder, tmp_path):
    rows = [f"{word} bitte,{label}" for label in ("an", "aus") for word in ("licht", "radio", "herd", "lampe")]
    (tmp_path / "german.csv").write_text("\n".join(["text,label", *rows]))
    arguments = ["train", "--preset", encoder[1], "--train-data", tmp_path / "german.csv", "-o", tmp_path / "trained"]
    arguments += ["--epochs", 1, "--sequence-length", 12]
    done = CliRunner().invoke(edgedistil, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    assert "Warning: The vocabulary of the preset edgedistil_small_en has" in done.stderr
    assert "Are they in another language? If so, pass a --preset of theirs" in done.stderr


# The script


@pytest.fixture
def script(encoder, monkeypatch):
    specification = importlib.util.spec_from_file_location("distil_students", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(__import__("sys").modules, "distil_students", module)
    specification.loader.exec_module(module)
    students = (
        module.Student("edgedistil_small_en", BackboneSize(2, 16, 2, 32), peak=1e-3, share=0.5),
        module.Student("edgedistil_tiny_en", BackboneSize(1, 8, 1, 16), peak=1e-3, share=0.2),
    )
    settings = {"TEACHER": str(encoder[1]), "PIECES": 22, "POSITIONS": 16, "TOKENS": 12, "STUDENTS": students}
    for name, value in {**settings, "HELD_OUT": 20, "CHUNK": 24, "SAMPLE": 30}.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def corpus(tmp_path):
    words = ["turn the lights on", "play some music", "is it raining", "lights off !"]
    folder = tmp_path / "corpus"
    folder.mkdir()
    texts = [f"{words[i % 4]} {words[i // 4 % 4]} {'on ' * (i % 3)}" for i in range(80)]
    (folder / "sentences-000.txt").write_text("\n".join([*texts, "shared alike"]) + "\n")
    rows = ["file\tfirst_line\tlast_line\tsource"]
    rows += [f"sentences-000.txt\t{span}" for span in ("1\t50\tada", "51\t80\tbob", "81\t81\tcarl")]
    (folder / "index.tsv").write_text("\n".join(rows) + "\n")
    table = ["| source | where | licence | lines | MB |", "|---|---|---|---|---|", "| ada | a@1 | CC0 1.0 | 50 | 1 |"]
    table += ["| bob | b@2 | CC BY 4.0 | 30 | 1 |", "| carl | c@3 | CC BY-SA 3.0 | 1 | 1 |"]
    (folder / "SOURCES.md").write_text("\n".join(table) + "\n")
    credit = ["| licence | sources |", "|---|---|", "| CC BY 4.0 | Bob |", "| CC BY-SA 3.0 | Carl |"]
    (folder / "LICENSES.md").write_text("\n".join(credit) + "\n")
    return folder


def test_corpus_without_share_alike_sources(script, corpus):
    texts, sources = script.read_corpus(corpus, share_alike=False, seed=0)
    assert (len(texts), sources) == (80, ["ada", "bob"])
    page = script.attribution(corpus, sources, "x")
    assert "Bob" in page and "Carl" not in page and "c@3" not in page
    texts, sources = script.read_corpus(corpus, share_alike=True, seed=0)
    assert "shared alike" in texts and "Carl" in script.attribution(corpus, sources, "x")


def test_script_makes_both_presets_and_goes_on_after_a_break(script, corpus, tmp_path, capsys):
    arguments = [str(corpus), "-o", str(tmp_path / "work"), "--epochs", "2"]
    assert script.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    results = json.loads(lines[-1])
    assert results["edgedistil_small_en"]["texts"] == 2 * 60
    assert sum("teacher chunk" in line for line in lines) == 3
    assert load_classifier(tmp_path / "work" / "edgedistil_tiny_en", num_classes=2).backbone.hidden_dim == 8
    assert script.main(arguments) == 0
    again = capsys.readouterr().out.splitlines()
    assert json.loads(again[-1]) == results
    assert not [line for line in again if "texts/s" in line]
    with pytest.raises(SystemExit, match="another run"):
        script.main([*arguments, "--share-alike"])


def test_script_ends_when_the_minutes_are_used_up(script, corpus, tmp_path, capsys):
    arguments = [str(corpus), "-o", str(tmp_path / "work"), "--only", "edgedistil_tiny_en", "--bfloat16"]
    assert script.main([*arguments, "--minutes", "0.1"]) == 0
    [result] = json.loads(capsys.readouterr().out.splitlines()[-1]).values()
    # The tiny student's share of six seconds, 0.9, is rounded; how many texts that is depends on the machine.
    assert result["seconds"] >= 1 and result["texts"] > 0
